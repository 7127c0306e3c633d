package crash_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/broker"
)

// courses is how many different courses there are; each is run once undisturbed.
const courses = 8

// calm is a course and what an undisturbed run of it gives.
type calm struct {
	once       sync.Once
	course     *course
	outcome    *outcome
	operations int // on files
}

var calms [courses]calm

// calmOf runs a course without a fault, once.
func calmOf(t *testing.T, seed uint64) *calm {
	t.Helper()
	c := &calms[seed%courses]
	c.once.Do(func() {
		random := rand.New(rand.NewPCG(seed%courses, 1))
		w := newRig(t, t.TempDir(), broker.Config{StoreDir: t.TempDir()}, random)
		defer w.close()
		c.course = chart(w, random)
		d := newDisk(well, 0, 0)
		w.up(c.course, d)
		w.follow(c.course, nil)
		w.end()
		c.operations = d.done
		c.outcome = w.outcome(c.course)
		c.outcome.check(t, c.course, nil)
	})
	if c.outcome == nil {
		t.Fatal("the undisturbed run failed")
	}
	return c
}

// follow takes a course to its end. Whenever the disk falls, or kill says so before a step, everything is killed and
// started again over the next disk.
func (w *rig) follow(c *course, disturb *disturbance) {
	w.t.Helper()
	for i := range c.steps {
		w.take(c, &c.steps[i], i, disturb)
	}
}

// disturbance is who is killed and when.
type disturbance struct {
	random *rand.Rand
	disks  []*disk      // the next ones
	at     map[int]bool // steps in the midst of which somebody is killed
	strike func()       // kills somebody else than engine and intake; nil for those
}

func (d *disturbance) next() *disk {
	if len(d.disks) == 0 {
		return newDisk(well, 0, 0)
	}
	first := d.disks[0]
	d.disks = d.disks[1:]
	return first
}

func (w *rig) take(c *course, s *step, number int, disturb *disturbance) {
	w.t.Helper()
	if !s.to.IsZero() {
		w.clock.Set(s.to)
	}
	killer := make(chan struct{})
	if disturb != nil && disturb.at[number] {
		pause := time.Duration(disturb.random.IntN(3000)) * time.Microsecond
		go func() {
			time.Sleep(pause) // somewhere in the request, or before it
			close(killer)
		}()
	} else {
		killer = nil
	}
	for begun := time.Now(); ; {
		if done := w.attempt(s); done && killer == nil {
			return
		}
		if time.Since(begun) > patience {
			w.t.Fatalf("step %d did not end", number)
		}
		w.alive()
		select {
		case <-w.disk.fell:
		case <-killer:
			killer = nil
			if disturb.strike != nil {
				disturb.strike()
				continue
			}
		default:
			continue
		}
		w.kill()
		for !w.up(c, disturb.next()) {
			w.kill()
		}
	}
}

// attempt takes a step; it tells whether that is done.
func (w *rig) attempt(s *step) bool {
	switch {
	case s.body != nil:
		return w.ask(s)
	case s.marked && !w.marked(s.to):
		time.Sleep(time.Millisecond)
		return false
	}
	return true
}

// killEngine is a round: engine, store and intake are killed up to four times.
func killEngine(t *testing.T, seed uint64) {
	c := calmOf(t, seed)
	random := rand.New(rand.NewPCG(seed, 2))
	w := newRig(t, t.TempDir(), broker.Config{StoreDir: t.TempDir()}, rand.New(rand.NewPCG(seed%courses, 1)))
	defer w.close()
	d := &disturbance{random: random, at: map[int]bool{}}
	for range 1 + random.IntN(3) {
		illness := []ill{killed, powerCut}[random.IntN(2)]
		d.disks = append(d.disks, newDisk(illness, random.IntN(c.operations), 0))
	}
	d.at[random.IntN(len(c.course.steps))] = true
	for !w.up(c.course, d.next()) {
		w.kill()
	}
	w.follow(c.course, d)
	for fell := true; fell; {
		select {
		case <-w.disk.fell:
			w.kill()
			fell = !w.up(c.course, d.next()) || w.disk.illness != well
		default:
			fell = w.disk.illness != well
			if fell { // it has not come to it: the rest runs on a disk that lasts
				w.kill()
				w.up(c.course, newDisk(well, 0, 0))
				fell = false
			}
		}
	}
	w.end()
	if w.kills == 0 {
		t.Error("nobody was killed")
	}
	w.outcome(c.course).check(t, c.course, c.outcome)
}

// sickenDisk is a round in which the disk fails for a while and heals.
func sickenDisk(t *testing.T, seed uint64) {
	c := calmOf(t, seed)
	random := rand.New(rand.NewPCG(seed, 3))
	w := newRig(t, t.TempDir(), broker.Config{StoreDir: t.TempDir()}, rand.New(rand.NewPCG(seed%courses, 1)))
	defer w.close()
	d := newDisk([]ill{shortWrite, noSpace, noSync}[seed%3], math.MaxInt, 1+random.IntN(4))
	if !w.up(c.course, d) {
		t.Fatal("a disk that is only ill fell")
	}
	w.follow(c.course, &disturbance{random: random, at: map[int]bool{random.IntN(len(c.course.steps)): true}, strike: d.ail})
	w.end()
	if d.done <= d.at {
		t.Errorf("the fault at operation %d never came, there were %d", d.at, d.done)
	}
	w.outcome(c.course).check(t, c.course, c.outcome)
}
