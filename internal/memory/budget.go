package memory

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"
)

// Least is the smallest budget that a server works with: the program, an idle broker and one message of the largest size at
// each place take about half of it.
const Least = 192 << 20

// Budget is a process's memory, and the account of each part that grows with load. What is not among the parts, the program, the
// rows of the fleet and the plans of kappas, has the quarter that they leave. A part that the process doesn't have is nil.
type Budget struct {
	Bytes     int64    // of the process as a whole
	Intake    *Account // requests of devices that wait to be stored
	Queue     *Account // messages of REPORTS that the engine has read ahead
	Rows      *Account // counted rows that wait for their file
	States    *Account // windows, open and revisable
	Frames    *Account // compiled frames
	Results   *Account // results held for readers
	Followers *Account // results that wait for a reader who follows
	Readers   *Account // queries and exports that run
	Broker    *Account // the embedded broker; a bound on its buffers, whose use is not known
}

// The shares of the parts, in 96ths of the whole.
const (
	whole          = 96
	intakeShare    = 6
	queueShare     = 4
	rowsShare      = 9
	statesShare    = 18
	framesShare    = 6
	resultsShare   = 9
	followersShare = 3
	readersShare   = 6
	brokerShare    = 12
)

// The shares of the parts of a process that counts for a cluster and does nothing else, in 96ths of the whole.
const (
	countingQueueShare  = 12
	countingRowsShare   = 24
	countingStatesShare = 24
	countingFramesShare = 12
)

// Divide gives each part its share of a budget, 0 for none: then every part has room for as much as it likes.
func Divide(bytes int64) *Budget {
	share := func(n int64) *Account { return NewAccount(bytes / whole * n) }
	return &Budget{
		Bytes: bytes, Intake: share(intakeShare), Queue: share(queueShare), Rows: share(rowsShare), States: share(statesShare),
		Frames: share(framesShare), Results: share(resultsShare), Followers: share(followersShare), Readers: share(readersShare),
		Broker: share(brokerShare),
	}
}

// Counting gives each part of a process that only counts for a cluster its share of a budget, 0 for none. Engine divides it further.
func Counting(bytes int64) *Budget {
	share := func(n int64) *Account { return NewAccount(bytes / whole * n) }
	return &Budget{
		Bytes: bytes, Queue: share(countingQueueShare), Rows: share(countingRowsShare), States: share(countingStatesShare), Frames: share(countingFramesShare),
	}
}

// Engine is the budget of one of the engines of a process, of which it may ever have so many at a time, and what gives back all that it holds
// once it has ended. Queue, Rows and Frames have an equal part of the process's each, whatever the other engines hold: an engine
// that is full waits for itself alone. States has no bound, since what a share of a cluster counts must not depend on the process
// that it runs in. Use and refusals of all engines show in the process's accounts.
func (b *Budget) Engine(most int) (engine *Budget, end func()) {
	each := func(a *Account) *Account { return a.under(a.Limit() / int64(most)) }
	engine = &Budget{Bytes: b.Bytes / int64(most), Queue: each(b.Queue), Rows: each(b.Rows), Frames: each(b.Frames), States: b.States.under(0)}
	return engine, func() {
		for _, a := range engine.parts() {
			a.end()
		}
	}
}

// Default is the budget of a server that was given none: half of the machine's memory or, where that is less, of what the control
// group of the process may take. It is 0 where neither can be told.
func Default() int64 {
	least := uint64(math.MaxInt64)
	for _, told := range []func() (uint64, error){memlimit.FromSystem, memlimit.FromCgroup} {
		if n, err := told(); err == nil && n > 0 {
			least = min(least, n)
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return max(int64(least/2), Least)
}

// Validate tells what is wrong with a budget in bytes; 0 is none and right.
func Validate(bytes int64) error {
	if bytes != 0 && bytes < Least {
		return fmt.Errorf("%d MiB is too little: at least %d MiB", bytes>>20, Least>>20)
	}
	return nil
}

// Collector asks Go's collector to keep the process within a budget; 0 changes nothing. An eighth is left for what is not on its
// heap: the program's own pages, and what the kernel counts.
func Collector(bytes int64) {
	if bytes > 0 {
		debug.SetMemoryLimit(bytes - bytes/8)
	}
}

// Process is the memory that Go's runtime has from the system, in bytes.
func Process() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// parts is the accounts by the name of their part, those that there are.
func (b *Budget) parts() map[string]*Account {
	all := map[string]*Account{
		"intake": b.Intake, "queue": b.Queue, "rows": b.Rows, "states": b.States, "frames": b.Frames, "results": b.Results,
		"followers": b.Followers, "readers": b.Readers,
	}
	maps.DeleteFunc(all, func(_ string, a *Account) bool { return a == nil })
	return all
}

// Register makes the metrics quadrat_memory_*.
func (b *Budget) Register(to prometheus.Registerer) error {
	gauge := func(name, help string, labels prometheus.Labels, of func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "quadrat", Subsystem: "memory", Name: name, Help: help, ConstLabels: labels,
		}, func() float64 { return float64(of()) })
	}
	all := []prometheus.Collector{
		gauge("limit_bytes", "Memory that the server may take; 0 for no bound.", nil, func() int64 { return b.Bytes }),
		gauge("process_bytes", "Memory that the server's runtime has from the system.", nil, Process),
	}
	if b.Broker != nil {
		all = append(all, gauge("budget_bytes", "Memory that a part may take; 0 for no bound.", prometheus.Labels{"part": "broker"}, b.Broker.Limit))
	}
	for part, account := range b.parts() {
		label := prometheus.Labels{"part": part}
		all = append(all,
			gauge("budget_bytes", "Memory that a part may take; 0 for no bound.", label, account.Limit),
			gauge("used_bytes", "Memory that a part takes, as it counts itself.", label, account.Used),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Namespace: "quadrat", Subsystem: "memory", Name: "full_total", Help: "How often a part was full.", ConstLabels: label,
			}, func() float64 { return float64(account.Refused()) }))
	}
	var faults []error
	for _, c := range all {
		faults = append(faults, to.Register(c))
	}
	return errors.Join(faults...)
}
