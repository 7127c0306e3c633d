package storage

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestTheSameRowsWhateverTheConfiguration gives the same random messages to stores of different configurations, with
// commits, checkpoints, rounds of upkeep, restarts at the checkpoint and readers that stay open at moments of their own, and
// expects the same answers.
func TestTheSameRowsWhateverTheConfiguration(t *testing.T) {
	t.Parallel()
	const messages = 60
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		var want map[string][]string
		for number, cfg := range []Config{
			{RowsPending: 1 << 20},
			{RowsPending: 7, BytesTarget: 1 << 30},
			{RowsPending: 50, BytesTarget: 20_000, RowsMerging: 100},
			{RowsPending: 300, Late: time.Nanosecond},
		} {
			cfg.FS, cfg.Clock = newFaultyFS(), at(int(seed+uint64(number))%3)
			p := &player{t: t, cfg: cfg, dir: t.TempDir(), seed: seed, rng: rand.New(rand.NewPCG(seed, uint64(number)))}
			p.play(messages)
			got := answers(t, &p.store.Rows)
			if want == nil {
				want = got
				continue
			}
			for what := range want {
				if !reflect.DeepEqual(got[what], want[what]) {
					t.Errorf("seed %d, configuration %d: %d rows of %s, want %d", seed, number, len(got[what]), what, len(want[what]))
				}
			}
		}
	}
}

// player plays messages to a store, as an engine would that checkpoints and is killed at random moments.
type player struct {
	t          *testing.T
	cfg        Config
	dir        string
	seed       uint64     // of the messages
	rng        *rand.Rand // of the moments
	store      *Store
	checkpoint uint64
	open       []func() // readers that are not done
}

func (p *player) play(messages uint64) {
	p.restart()
	for at := p.checkpoint + 1; at <= messages; at++ {
		p.message(at)
		switch p.rng.IntN(12) {
		case 0, 1:
			must(p.t, p.store.Commit(at))
		case 2, 3:
			must(p.t, p.store.Commit(at))
			p.checkpoint = at
			p.store.Permanent(at)
		case 4, 5:
			must(p.t, p.store.Upkeep(context.Background()))
		case 6:
			p.read()
		case 7:
			if p.rng.IntN(2) == 0 {
				p.restart()
				at = p.checkpoint
			}
		}
	}
	must(p.t, p.store.Commit(messages))
	p.store.Permanent(messages)
	p.done()
	for range p.rng.IntN(3) {
		must(p.t, p.store.Upkeep(context.Background()))
	}
	tidy(p.t, p.store, fmt.Sprint("seed ", p.seed))
}

// restart forgets the store in memory and opens the folder again.
func (p *player) restart() {
	p.open = nil
	p.store = open(p.t, p.dir, p.cfg)
	must(p.t, p.store.Restore(p.checkpoint))
}

// message is the message at a position: reports of a window, of which some are late by up to two dates, and what its
// closing makes.
func (p *player) message(at uint64) {
	p.t.Helper()
	rng := rand.New(rand.NewPCG(p.seed, at))
	window := int64(at/5) * 900
	if rng.IntN(6) == 0 {
		window = rng.Int64N(window + 1)
	}
	start := baseMs + window/10*600_000
	rows := make([]column.Report, 1+rng.IntN(12))
	for i := range rows {
		rows[i] = makeReports(rng, at, 1)[0]
		rows[i].WindowStartMs, rows[i].WindowEndMs, rows[i].StratumPopulation = start, start+600_000, 40
	}
	rec := recordOf(p.t, rows)
	defer rec.Release()
	must(p.t, p.store.Reports(rec))
	if at%3 == 0 {
		must(p.t, p.store.Results([]*quadratv1.Result{makeResult(int(at), uint32(1+rng.IntN(2)), rng.Float64())}))
		must(p.t, p.store.Strata("indoor", testRef, []column.Stratum{{
			WindowStartMs: start, WindowEndMs: start + 600_000, Statistic: "mean(temperature)", Stratum: "region0", Population: 40, Panel: 9,
		}}))
	}
}

// read begins a reader, and sometimes lets others go.
func (p *player) read() {
	next, stop := iter.Pull2(p.store.ScanReports(context.Background(), testRef, time.Time{}, time.Time{}))
	if _, err, ok := next(); ok && err != nil {
		p.t.Error(err)
	}
	p.open = append(p.open, func() {
		for _, err, ok := next(); ok; _, err, ok = next() {
			must(p.t, err)
		}
		stop()
	})
	if p.rng.IntN(2) == 0 {
		p.done()
	}
}

func (p *player) done() {
	for _, end := range p.open {
		end()
	}
	p.open = nil
}
