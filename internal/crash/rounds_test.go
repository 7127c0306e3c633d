package crash_test

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	rounds = flag.Int("rounds", 10, "how many rounds in which somebody is killed; a fifth as many with an ill disk come on top")
	soak   = flag.Duration("soak", 0, "go on with further rounds for so long")
	first  = flag.Uint64("seed", 0, "the number of the first round")
)

// killings is how often somebody was killed in all rounds.
var killings atomic.Int64

// compacted is how many segments became part of a larger one in all rounds.
var compacted atomic.Int64

// scratch is a folder for what all rounds share.
var scratch string

func TestMain(m *testing.M) {
	if store := os.Getenv(envStore); store != "" {
		os.Exit(beBroker(store, os.Getenv(envListen)))
	}
	if folder := os.Getenv(envFull); folder != "" {
		os.Exit(beFull(folder, os.Getenv(envFullMounts) != ""))
	}
	var err error
	if scratch, err = os.MkdirTemp("", "crash"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// workers is how many rounds run at once. A round waits more than it computes: for windows that end, leases that run out, servers that start.
const workers = 4

// kinds are the kinds of rounds in which somebody is killed, in the order in which ten rounds take turns, and behind them the one
// in which a disk is ill.
var kinds = []struct {
	name  string
	round func(t *testing.T, seed uint64)
	turns int // of ten
}{
	{"engine killed", killEngine, 5},
	{"broker killed", killBroker, 1},
	{"serve killed", killServe, 2},
	{"member killed", killMember, 2},
	{"disk ill", sickenDisk, 2},
}

// turn is a round of one kind.
type turn struct {
	kind int
	seed uint64
}

// TestRounds runs the rounds and says how many of each kind have passed. With -run it may be told to leave kinds out; who
// relies on a number of rounds looks at that line.
func TestRounds(t *testing.T) {
	start := time.Now()
	turns := make(chan turn)
	var begun atomic.Int64
	passed := make([]atomic.Int64, len(kinds))
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for next := range turns {
				k := kinds[next.kind]
				t.Run(fmt.Sprintf("%s/%d", k.name, next.seed), func(t *testing.T) {
					begun.Add(1)
					k.round(t, next.seed)
					if !t.Failed() {
						passed[next.kind].Add(1)
					}
				})
			}
		})
	}
	for n := uint64(0); int(n) < *rounds || time.Since(start) < *soak; n += 10 {
		for kind, k := range kinds {
			for i := range k.turns {
				turns <- turn{kind, *first + n + uint64(i)}
			}
		}
	}
	close(turns)
	group.Wait()
	engines, brokers, servers, members, ill := passed[0].Load(), passed[1].Load(), passed[2].Load(), passed[3].Load(), passed[4].Load()
	fmt.Printf("%d rounds: %d engine killed, %d broker killed, %d serve killed, %d member killed, %d times in all; and %d disk ill; in %v\n",
		engines+brokers+servers+members, engines, brokers, servers, members, killings.Load(), ill, time.Since(start).Round(time.Second))
	if engines > 0 && compacted.Load() == 0 {
		t.Error("nothing was ever compacted: no round was killed in it")
	}
	if all := engines + brokers + servers + members + ill; all != begun.Load() || all == 0 {
		t.Errorf("%d rounds passed of %d", all, begun.Load())
	}
}
