package fleet

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

// TestFramesHoldWhileDevicesComeAndGo asks for frames while hellos, expiry, pruning and writing go on, and expects each
// frame to be the same afterwards and after a restart.
func TestFramesHoldWhileDevicesComeAndGo(t *testing.T) {
	const devices, rounds = 40, 150
	kv := &memoryKV{values: map[string][]byte{}}
	clk := clock.NewManual(epoch)
	r, s := load(t, kv, clk)
	var busy sync.WaitGroup
	for part := range 4 {
		busy.Go(func() {
			for round := range rounds {
				for d := part; d < devices; d += 4 {
					h := helloOf(fmt.Sprint("d", d), "round", fmt.Sprint(round/3))
					h.Leaving = (round+d)%17 == 0
					if err := r.Hello(h, clk.Now()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	type asked struct {
		at   time.Time
		rows []string
	}
	var frames []asked
	names := func(r *Registry, at time.Time) []string {
		var out []string
		for _, row := range r.Frame(Query{}, at) {
			out = append(out, row.ID+"="+row.Attributes["round"])
		}
		return out
	}
	busy.Go(func() {
		for range rounds {
			clk.Advance(time.Millisecond)
			at := clk.Now()
			frames = append(frames, asked{at: at, rows: names(r, at)})
			r.Expire(at, time.Hour)
			r.Prune(epoch.Add(-time.Hour))
			if err := s.Flush(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	busy.Wait()
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	again, _ := load(t, kv, clk)
	for _, f := range frames {
		if got := names(r, f.at); !reflect.DeepEqual(got, f.rows) {
			t.Fatalf("the frame of %s changed", f.at)
		}
		if got := names(again, f.at); !reflect.DeepEqual(got, f.rows) {
			t.Fatalf("the frame of %s changed over a restart", f.at)
		}
	}
}
