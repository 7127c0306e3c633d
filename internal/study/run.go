package study

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
)

// blocks is how many parts the repetitions of a design and a size fall into, each with seeds of its own.
const blocks = 8

// Config says which cells to run. Empty lists mean all of the study.
type Config struct {
	Designs  []string  // by name
	Sizes    []int     // n
	Epsilons []float64 // 0 for no noise
}

// Result is what one cell of the study shows.
type Result struct {
	Design, Estimator string
	Epsilon           float64 // 0 for no noise
	Size              int     // n, expected where it is random
	Repetitions       int
	Coverage          float64 // share of the repetitions whose interval held the truth; a refusal doesn't
	Refused           float64 // share of the repetitions without an interval
	HalfWidth         float64 // mean of those there are, in the unit of the truth
	Promise           Promise
}

// Repetitions returns how many samples a cell of size n gets.
func Repetitions(n int) int {
	if n >= 1000 {
		return 4000
	}
	return 5000
}

// Run draws the samples and returns the cells, in the order of the table. It uses all cores; the results don't depend on
// how many there are.
func Run(c Config) ([]Result, error) {
	p, err := newPopulation()
	if err != nil {
		return nil, err
	}
	if c.Sizes == nil {
		c.Sizes = []int{30, 100, 1000}
	}
	if c.Epsilons == nil {
		c.Epsilons = []float64{0, 0.5, 1, 4}
	}
	var jobs []*job
	for _, at := range plans() {
		if c.Designs != nil && !slices.Contains(c.Designs, at.name) {
			continue
		}
		for _, n := range c.Sizes {
			for block := range blocks {
				jobs = append(jobs, &job{population: p, plan: at, n: n, block: block, epsilons: c.Epsilons})
			}
		}
	}
	if err := runAll(jobs); err != nil {
		return nil, err
	}
	var results []Result
	for i := 0; i < len(jobs); i += blocks {
		of, err := conclude(jobs[i : i+blocks])
		if err != nil {
			return nil, err
		}
		results = append(results, of...)
	}
	return results, nil
}

// runAll runs the jobs on all cores.
func runAll(jobs []*job) error {
	var group sync.WaitGroup
	todo := make(chan *job)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for j := range todo {
				j.err = j.run()
			}
		})
	}
	for _, j := range jobs {
		todo <- j
	}
	close(todo)
	group.Wait()
	errs := make([]error, len(jobs))
	for i, j := range jobs {
		errs[i] = j.err
	}
	return errors.Join(errs...)
}

// job is a block of repetitions of one design and size, for all estimators and noises.
type job struct {
	*population

	plan     plan
	n, block int
	epsilons []float64
	tallies  []tally // [noise · estimators + estimator]
	err      error
}

// tally counts what happened to one cell.
type tally struct {
	drawn, covered, refused int
	halfWidth               float64
}

// seed differs by design, size, block and what it is for.
func (j *job) seed(what byte) uint64 {
	h := fnv.New64a()
	name := append([]byte(j.plan.name), what, byte(j.n), byte(j.n>>8), byte(j.block))
	_, _ = h.Write(name) // a hash never fails
	return h.Sum64()
}

func (j *job) run() error {
	d, err := newDrawer(j.population, j.plan, j.n, rand.NewPCG(j.seed('d'), 1))
	if err != nil {
		return err
	}
	noises := make([]noise, len(j.epsilons))
	for i, epsilon := range j.epsilons {
		if noises[i], err = newNoise(epsilon, j.seed(byte(10*epsilon))); err != nil {
			return err
		}
	}
	ways := estimators()
	truths := make([]float64, len(ways))
	for i, way := range ways {
		truths[i] = way.truth(j.population)
	}
	j.tallies = make([]tally, len(noises)*len(ways))
	for range Repetitions(j.n) / blocks {
		s, err := j.plan.draw(d)
		if err != nil {
			return err
		}
		v, err := newView(j.population, s)
		if err != nil {
			return err
		}
		for i := range noises {
			if err := v.ask(noises[i]); err != nil {
				return err
			}
			for k, way := range ways {
				if err := j.tallies[i*len(ways)+k].take(v, way, truths[k]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// take runs one estimator on one sample.
func (t *tally) take(v *view, way estimator, truth float64) error {
	if (way.exact && v.temperature.noisy()) || (way.in != nil && !way.in(v)) {
		return nil
	}
	t.drawn++
	s, err := way.interval(v)
	if err != nil {
		t.refused++
		return nil //nolint:nilerr // a refusal is a result
	}
	covered, err := s.covers(truth)
	if covered {
		t.covered++
	}
	t.halfWidth += (s.high - s.low) / 2
	return err
}

// conclude puts the blocks of a design and a size together.
func conclude(of []*job) ([]Result, error) {
	first := of[0]
	ways := estimators()
	var results []Result
	for i, epsilon := range first.epsilons {
		for k, way := range ways {
			var all tally
			for _, j := range of {
				t := j.tallies[i*len(ways)+k]
				all.drawn += t.drawn
				all.covered += t.covered
				all.refused += t.refused
				all.halfWidth += t.halfWidth
			}
			if all.drawn == 0 {
				continue
			}
			r := Result{
				Design: first.plan.name, Estimator: way.name, Epsilon: epsilon, Size: first.n, Repetitions: all.drawn,
				Coverage: float64(all.covered) / float64(all.drawn), Refused: float64(all.refused) / float64(all.drawn),
			}
			if answered := all.drawn - all.refused; answered > 0 {
				r.HalfWidth = all.halfWidth / float64(answered)
			}
			var err error
			if r.Promise, err = promise(first.population, r); err != nil {
				return nil, err
			}
			results = append(results, r)
		}
	}
	return results, nil
}
