package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// row is one stored report as the sink got it.
type row struct {
	Device            string  `json:"device"`
	Statistic         string  `json:"statistic"`
	Stratum           string  `json:"stratum"`
	Cell              string  `json:"cell"`
	UnitCounts        string  `json:"unit_counts"`
	WindowStart       string  `json:"window_start"`
	Score             float64 `json:"score"`
	Pi                float64 `json:"pi"`
	Weight            float64 `json:"weight"`
	NoiseVariance     float64 `json:"noise_variance"`
	StratumPopulation int64   `json:"stratum_population"`
	Sequence          uint64  `json:"sequence"`
	Units             int64   `json:"units"`
	Categories        int64   `json:"answer_categories"`
	Answer            uint64  `json:"answer"`
}

// memorySink keeps what it is given; what was not committed goes at Restore, as on a disk.
type memorySink struct {
	mu         sync.Mutex
	changed    chan struct{}
	rows       []row
	results    []*quadratv1.Result
	strata     []column.Stratum
	commits    []commit
	fault      error
	restored   bool
	restoredTo uint64
}

// commit is what a sink held when it committed a position.
type commit struct {
	sequence      uint64
	rows, results int
}

func newMemorySink() *memorySink { return &memorySink{changed: make(chan struct{}, 1)} }

func (s *memorySink) do(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return s.fault
	}
	f()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

func (s *memorySink) Restore(sequence uint64) error {
	return s.do(func() {
		s.restored, s.restoredTo = true, sequence
		for len(s.commits) > 0 && s.commits[len(s.commits)-1].sequence > sequence {
			s.commits = s.commits[:len(s.commits)-1]
		}
		var last commit
		if len(s.commits) > 0 {
			last = s.commits[len(s.commits)-1]
		}
		s.rows, s.results = s.rows[:last.rows], s.results[:last.results]
	})
}

func (s *memorySink) Batch(reports *column.Batch) error {
	record := reports.Record(memory.DefaultAllocator)
	defer record.Release()
	text, err := record.MarshalJSON()
	if err != nil {
		return err
	}
	var rows []row
	if err := json.Unmarshal(text, &rows); err != nil {
		return err
	}
	return s.do(func() { s.rows = append(s.rows, rows...) })
}

func (s *memorySink) Results(results []*quadratv1.Result) error {
	return s.do(func() { s.results = append(s.results, results...) })
}

func (s *memorySink) Strata(_, _ string, strata []column.Stratum) error {
	return s.do(func() { s.strata = append(s.strata, strata...) })
}

func (s *memorySink) Commit(sequence uint64) error {
	return s.do(func() {
		s.commits = append(s.commits, commit{sequence: sequence, rows: len(s.rows), results: len(s.results)})
	})
}

// Permanent holds the law that a position was committed before.
func (s *memorySink) Permanent(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.commits) == 0 || s.commits[len(s.commits)-1].sequence != sequence {
		panic("a position is permanent that was not committed last")
	}
}

func (s *memorySink) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

// newest gives the newest revision of each result, in a fixed order.
func (s *memorySink) newest() []*quadratv1.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := map[string]*quadratv1.Result{}
	for _, r := range s.results {
		id := fmt.Sprint(r.GetRef(), r.GetWindowStart().AsTime().UnixMilli(), r.GetStatistic(), r.GetCell(), r.GetBin().GetIndex())
		if old := byID[id]; old == nil || old.GetRevision() <= r.GetRevision() {
			byID[id] = r
		}
	}
	out := make([]*quadratv1.Result, 0, len(byID))
	for _, r := range byID {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *quadratv1.Result) int {
		return cmp.Or(cmp.Compare(a.GetRef(), b.GetRef()), a.GetWindowStart().AsTime().Compare(b.GetWindowStart().AsTime()),
			cmp.Compare(a.GetStatistic(), b.GetStatistic()), cmp.Compare(fmt.Sprint(a.GetCell()), fmt.Sprint(b.GetCell())),
			cmp.Compare(a.GetBin().GetIndex(), b.GetBin().GetIndex()))
	})
	return out
}

// wait waits until the condition holds.
func (s *memorySink) wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		s.mu.Lock()
		ok := holds()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.changed:
		case <-patience:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
