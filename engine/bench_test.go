package engine

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// benchState is a kappa over many devices, of which each answers in every window, and one window's reports as the stream
// holds them: each message is of one partition.
func benchState(b *testing.B, devices, perMessage int) (*kappa, [][]byte) {
	b.Helper()
	full := make([]uint64, 1)
	full[0] = 1<<64 - 1
	plan := &quadratv1.DevicePlan{
		Ref: "k1", Name: "one", Revision: 1, FromWindow: firstWindow, WindowMs: windowMs, Salt: make([]byte, 16), LapWindows: 1,
		Capability: "sense.temperature", Statistics: []*quadratv1.StatisticPlan{meanPlan("hybrid")}, Model: "local",
		EpsilonMicro: 4e6, Confidence: 0.95, GroupBy: []string{"cooling"}, StratifiedBy: []string{"region"},
	}
	for i := range 10 {
		plan.Strata = append(plan.Strata, &quadratv1.StratumPlan{
			Name: fmt.Sprint("r", i), Last: full, Members: []*quadratv1.AttributeValues{{Values: []string{fmt.Sprint("r", i)}}},
		})
	}
	k, err := newKappa(&quadratv1.KappaRecord{
		Kappa: &quadratv1.Kappa{Ref: "k1", Name: "one"}, Revisions: []*quadratv1.PlanRevision{{Device: plan}},
	})
	if err != nil {
		b.Fatal(err)
	}
	r, keyer := rand.New(rand.NewPCG(1, 2)), fleet.NewKeyer([16]byte{})
	rows, shared := make([]*fleet.Row, devices), make([]map[string]string, 30)
	for i := range shared {
		shared[i] = map[string]string{"region": fmt.Sprint("r", i%10), "cooling": fmt.Sprint("c", i%3)}
	}
	for i := range rows {
		id := fmt.Sprint("d", i)
		rows[i] = &fleet.Row{ID: id, Key: keyer.Key(id), Attributes: shared[i%len(shared)]}
	}
	slices.SortFunc(rows, func(a, b *fleet.Row) int { return cmp.Compare(a.Key, b.Key) })
	k.newest, k.compiled = newFrame(k.plans[0], rows), k.plans[0]
	var waiting [fleet.Partitions][]uint64
	for _, i := range r.Perm(devices) {
		key := rows[i].Key
		waiting[fleet.Partition(key)] = append(waiting[fleet.Partition(key)], uint64(key))
	}
	var messages [][]byte
	for more, from := true, 0; more; from += perMessage {
		more = false
		for _, keys := range waiting {
			if from >= len(keys) {
				continue
			}
			g := &quadratv1.StoredGroup{Kappa: "k1", Revision: 1, Window: firstWindow, Device: keys[from:min(from+perMessage, len(keys))]}
			for range g.GetDevice() {
				g.Statistic = append(g.Statistic, 0)
				g.Value = append(g.Value, r.Int64N(int64(len(k.plans[0].statistics[0].scores))))
			}
			body, err := proto.Marshal(&quadratv1.StoredBatch{Version: 1, Groups: []*quadratv1.StoredGroup{g}})
			if err != nil {
				b.Fatal(err)
			}
			messages, more = append(messages, body), true
		}
	}
	return k, messages
}

// BenchmarkCount decodes, deduplicates and counts: REPORTS bytes to window state, one core.
func BenchmarkCount(b *testing.B) {
	for _, devices := range []int{10_000, 1_000_000} {
		for _, rows := range []bool{false, true} {
			b.Run(fmt.Sprintf("devices=%d/rows=%v", devices, rows), func(b *testing.B) {
				k, messages := benchState(b, devices, 4096)
				var columns reports
				var v verdict
				bytes := 0
				for _, m := range messages {
					bytes += len(m)
				}
				b.ReportAllocs()
				for b.Loop() {
					w := newWindow(firstWindow, k.plans[0], k.newest)
					var to *column.Rows
					if rows {
						to = column.NewRows("one", "k1")
					}
					counted := 0
					for _, m := range messages {
						if err := decodeBatch(m, &columns, func(c *reports) { v.reset(); w.count(c, &v, to, 1); counted += v.counted }, nil, nil); err != nil {
							b.Fatal(err)
						}
					}
					if counted != devices {
						b.Fatalf("%d counted of %d", counted, devices)
					}
					if rows {
						to.NewBatch()
					}
				}
				total := float64(b.N) * float64(devices)
				b.ReportMetric(total/b.Elapsed().Seconds(), "reports/s")
				b.ReportMetric(float64(bytes)/float64(devices), "bytes/report")
			})
		}
	}
}

// BenchmarkFrame compiles the frame of a million devices.
func BenchmarkFrame(b *testing.B) {
	k, _ := benchState(b, 1_000_000, 1_000_000)
	for b.Loop() {
		newFrame(k.plans[0], k.newest.rows)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/device")
}

// BenchmarkCountPhases tells what each step of counting takes. Of each message the least time of 25 runs counts, so that what else
// the machine does falls out.
func BenchmarkCountPhases(b *testing.B) {
	const devices, runs, phases = 1_000_000, 25, 4
	names := [phases]string{"decode", "find", "seat", "hear"}
	for _, perMessage := range []int{4096, 64} {
		b.Run(fmt.Sprintf("perMessage=%d", perMessage), func(b *testing.B) {
			k, messages := benchState(b, devices, perMessage)
			least := make([][phases]time.Duration, len(messages))
			var columns reports
			var v verdict
			for run := range runs * b.N {
				w := newWindow(firstWindow, k.plans[0], k.newest)
				for i, m := range messages {
					at := [phases + 1]time.Time{time.Now()}
					err := decodeBatch(m, &columns, func(r *reports) {
						v.reset()
						at[1] = time.Now()
						r.berths = w.frame.devices.findAll(r.berths[:0], r.device)
						at[2] = time.Now()
						w.seat(r, &v)
						at[3] = time.Now()
						w.hear(r, &v)
						at[4] = time.Now()
					}, nil, nil)
					if err != nil {
						b.Fatal(err)
					}
					for phase := range phases {
						if took := at[phase+1].Sub(at[phase]); run == 0 || took < least[i][phase] {
							least[i][phase] = took
						}
					}
				}
			}
			for phase, name := range names {
				sum := time.Duration(0)
				for i := range least {
					sum += least[i][phase]
				}
				b.ReportMetric(float64(sum.Nanoseconds())/devices, name+"-ns/report")
			}
		})
	}
}
