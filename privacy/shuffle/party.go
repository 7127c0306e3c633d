package shuffle

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/quadrat-dev/quadrat/privacy"
)

// ErrParty says that a declaration of a shuffler can't be taken.
var ErrParty = errors.New("shuffle: a party needs a name of at most 200 bytes on one line and a delta above 0 and at most 0.001")

// Party is a shuffler that an operator declares: independent of whoever runs intake, broker and engine, it takes the reports and
// publishes each batch without device, order, and time finer than the window. Nothing here can check that it exists.
// The zero value is nobody. It is a value.
type Party struct {
	// Name is what people call it.
	Name string
	// Delta is the δ at which figures are told, in 0…0.001.
	Delta float64
}

// Declared says that there is one.
func (p Party) Declared() bool { return p != Party{} }

const (
	nameBytesMax = 200
	deltaMax     = 0.001
)

// Validate returns ErrParty unless the declaration can be taken; nobody is fine.
func (p Party) Validate() error {
	if !p.Declared() {
		return nil
	}
	if strings.TrimSpace(p.Name) == "" || len(p.Name) > nameBytesMax || strings.ContainsAny(p.Name, "\n\r\t") ||
		!(p.Delta > 0 && p.Delta <= deltaMax) {
		return ErrParty
	}
	return nil
}

// Assumes says in sentences whom a figure holds against, and whom not.
func (p Party) Assumes() string {
	return fmt.Sprintf("%[1]s is declared to be an independent party that takes the reports and publishes those of one window, statistic, "+
		"stratum and cell as one batch, without device, order, weight, or time finer than the window. The figure holds against readers of that "+
		"batch, for one report in it, if the other devices of the batch add their noise and tell nobody their reports; reports of several "+
		"windows add up. It doesn't hold against %[1]s, nor against the intake, the broker, the engine, or anyone who sees the stored "+
		"reports or who answered what: for them it is the local epsilon of the report.", p.Name)
}

// Figure is what a batch tells its readers of one report in it.
type Figure struct {
	// Reports is how many reports the batch has.
	Reports int
	// Epsilon and Delta are told together.
	Epsilon, Delta float64
	// Bound is NumericBound or ExactFigure.
	Bound string
}

// How a figure is found: by Setting.Epsilon for any mechanism, by Setting.Warner for Warner's.
const (
	NumericBound = "fmt21-numeric"
	ExactFigure  = "warner-exact"
)

// warner is the one mechanism that has a figure of its own.
const warner = "warner"

// Figures tells the figures of a party. It keeps what it has computed, so that results of many cells cost little. It is safe for
// use by many goroutines.
type Figures struct {
	party Party

	mu   sync.Mutex
	told map[question]float64 // guarded by mu
}

// question is all that a figure depends on beside the party.
type question struct {
	reports int
	local   privacy.Epsilon
	bit     bool
}

// NewFigures takes a party that is valid; nobody has no figures.
func NewFigures(p Party) *Figures { return &Figures{party: p, told: map[question]float64{}} }

// Party is who was declared.
func (f *Figures) Party() Party { return f.party }

// Of is the figure of a batch of so many reports of a mechanism; ok is false when there is no party, and when the bound gives no less
// than the local ε. It is computed for the number of reports rounded down to two digits: fewer reports hide less, so it
// holds for more.
func (f *Figures) Of(mechanism string, local privacy.Epsilon, reports int) (figure Figure, ok bool) {
	q := question{reports: roundedDown(min(reports, reportsMost)), local: local, bit: mechanism == warner}
	s := Setting{Reports: q.reports, Local: local, Delta: f.party.Delta}
	if !f.party.Declared() || s.Validate() != nil {
		return Figure{}, false
	}
	figure = Figure{Reports: reports, Epsilon: f.recall(q, s), Delta: f.party.Delta, Bound: NumericBound}
	if q.bit {
		figure.Bound = ExactFigure
	}
	// The bisection ends within a thousandth of the local ε where nothing is gained.
	return figure, figure.Epsilon < local.Float64()*(1-1e-3)
}

// recall computes a bound of a valid setting once.
func (f *Figures) recall(q question, s Setting) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e, ok := f.told[q]; ok {
		return e
	}
	bound := s.Epsilon
	if q.bit {
		bound = s.Warner
	}
	e, err := bound()
	if err != nil {
		return math.Inf(1) // a valid setting has none
	}
	f.told[q] = e
	return e
}

// roundedDown keeps the first two digits.
func roundedDown(n int) int {
	unit := 1
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}
