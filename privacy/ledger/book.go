package ledger

import (
	"errors"
	"sort"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Book is what a device has spent, and the judge of what it may still spend. It
// keeps single entries only for as long as a period can reach back to them, and
// totals for ever. A Book is not safe for concurrent use.
type Book struct {
	limits Limits
	// entries is sorted by start.
	entries []entry
	kappas  []account
	spent   Spent
	// newestEnd is the end of the latest window charged; widest is the longest
	// window seen. Nanoseconds.
	newestEnd, widest int64
	// forgotten is the latest start among the entries that are no longer kept,
	// never if there are none.
	forgotten int64
	// tags are the marks of the memoised values that were charged; nil for none.
	tags map[[TagBytes]byte]bool
	// secret is the mark of the secret under which the tags were made, zero for
	// none.
	secret [TagBytes]byte
}

// entry is one charge.
type entry struct {
	start int64
	micro uint32
	kappa uint32
}

// account is what is kept of a kappa for ever.
type account struct {
	name      string
	spent     Spent
	newest    int64
	period    int64
	forgotten int64
}

// Spent is a sum of charges.
type Spent struct {
	// Epsilon is the sum of ε: pure differential privacy, δ = 0.
	Epsilon privacy.Epsilon
	// Rho is the sum of ε²/2 in billionths, each rounded up: what the reports
	// cost as zero-concentrated differential privacy (Bun and Steinke 2016,
	// proposition 1.4).
	Rho uint64
	// Reports is the number of charges.
	Reports uint64
}

const (
	// never is earlier than any window.
	never = -1 << 62
	// widestLeast is the window length that a book expects before it has seen a
	// longer one.
	widestLeast = int64(24 * time.Hour)
)

// NewBook returns an empty book under the limits, or InvalidLimits.
func NewBook(l Limits) (*Book, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return &Book{limits: l, newestEnd: never, forgotten: never, widest: widestLeast}, nil
}

// Check says whether the charge may be made: nil, or a Refusal. It changes
// nothing that was spent.
func (b *Book) Check(c Charge) error {
	if err := c.Validate(); err != nil {
		return err
	}
	start := c.WindowStart.UnixNano()
	id, known := b.find(c.Kappa)
	if known && b.charged(start, id) {
		return Refusal{Reason: AlreadyCharged}
	}
	if start+int64(c.Window) < b.newestEnd-int64(Tolerance) {
		return Refusal{Reason: ClockBack}
	}
	if start-int64(b.limits.Period) < b.forgotten ||
		known && start-int64(c.PlanPeriod) < b.kappas[id].forgotten {
		return Refusal{Reason: Forgotten}
	}
	if b.crowded(start + int64(c.Window)) {
		return Refusal{Reason: Crowded}
	}
	if refused := over(Refusal{Reason: LifetimeSpent}, b.limits.Lifetime, b.spent.Epsilon, c.Epsilon); refused != nil {
		return refused
	}
	all := b.fullest(start, int64(b.limits.Period), anyKappa)
	if refused := over(Refusal{Reason: PeriodSpent}, b.limits.PerPeriod, all, c.Epsilon); refused != nil {
		return refused
	}
	var own privacy.Epsilon
	if known {
		own = b.fullest(start, int64(c.PlanPeriod), id)
	}
	return over(Refusal{Reason: PlanSpent}, c.PlanPerPeriod, own, c.Epsilon)
}

// Reserve makes the charge if Check allows it. The caller has written its
// record to stable storage before, and randomises only after.
func (b *Book) Reserve(c Charge) error {
	err := b.Check(c)
	if !errors.Is(err, Invalid) {
		b.Expect(c.Kappa, c.Window, c.PlanPeriod)
	}
	if err != nil {
		return err
	}
	b.enter(c)
	b.forget()
	return nil
}

// Expect tells the book what a plan will charge, so that it keeps as much of the
// past as the plan's windows and period reach back to. Called for every plan
// that the device holds before the first Reserve after a Replay, it avoids the
// refusal Forgotten. It never shortens what is kept.
func (b *Book) Expect(kappa string, window, planPeriod time.Duration) {
	b.widest = max(b.widest, int64(min(window, WindowMax)))
	if id, known := b.find(kappa); known {
		b.kappas[id].period = max(b.kappas[id].period, int64(min(planPeriod, PeriodMax)))
	}
}

// over returns the refusal if what is asked doesn't fit under the limit.
func over(r Refusal, limit, spent, asked privacy.Epsilon) error {
	if spent <= limit && asked <= limit-spent {
		return nil
	}
	r.Left = limit - min(spent, limit)
	return r
}

// enter books a valid charge, whatever the limits: a policy that became
// stricter doesn't undo what was spent under an earlier one. It forgets nothing.
func (b *Book) enter(c Charge) {
	b.widest = max(b.widest, int64(c.Window))
	start := c.WindowStart.UnixNano()
	id, known := b.find(c.Kappa)
	if !known {
		id = uint32(len(b.kappas))
		b.kappas = append(b.kappas, account{name: c.Kappa, newest: never, forgotten: never})
	}
	own := &b.kappas[id]
	own.newest = max(own.newest, start)
	own.period = max(own.period, int64(c.PlanPeriod))
	own.spent.add(c.Epsilon)
	b.spent.add(c.Epsilon)
	b.newestEnd = max(b.newestEnd, start+int64(c.Window))

	at := sort.Search(len(b.entries), func(i int) bool { return b.entries[i].start > start })
	b.entries = append(b.entries, entry{})
	copy(b.entries[at+1:], b.entries[at:])
	b.entries[at] = entry{start: start, micro: uint32(c.Epsilon), kappa: id}
}

// forget drops the entries that no charge within Tolerance can reach: a window
// that may still come starts at newestEnd - Tolerance - widest or later.
func (b *Book) forget() {
	reach := b.newestEnd - int64(Tolerance) - b.widest
	kept := b.entries[:0]
	for _, e := range b.entries {
		own := &b.kappas[e.kappa]
		if e.start > reach-max(int64(b.limits.Period), own.period) {
			kept = append(kept, e)
			continue
		}
		b.forgotten = max(b.forgotten, e.start)
		own.forgotten = max(own.forgotten, e.start)
	}
	b.entries = kept
}

// entriesMost bounds the charges that are kept: a file of 32 MiB. One report in two
// thirds of a second for a day reaches it.
const entriesMost = 1 << 17

// crowded says that a charge whose window ends then would be one too many. It
// looks at what such a charge could make the book forget.
func (b *Book) crowded(end int64) bool {
	if len(b.entries) < entriesMost {
		return false
	}
	longest := int64(b.limits.Period)
	for i := range b.kappas {
		longest = max(longest, b.kappas[i].period)
	}
	reach := max(b.newestEnd, end) - int64(Tolerance) - b.widest - longest
	gone := sort.Search(len(b.entries), func(i int) bool { return b.entries[i].start > reach })
	return len(b.entries)-gone >= entriesMost
}

// anyKappa makes fullest count every kappa.
const anyKappa = ^uint32(0)

// fullest returns the most that is spent in any half-open span [t, t+period)
// that contains start. The fullest span begins at an entry, or at start itself.
func (b *Book) fullest(start, period int64, kappa uint32) privacy.Epsilon {
	first := sort.Search(len(b.entries), func(i int) bool { return b.entries[i].start > start-period })
	var most, sum privacy.Epsilon
	last := first
	for i := first; i < len(b.entries) && b.entries[i].start <= start; i++ {
		for last < len(b.entries) && b.entries[last].start < b.entries[i].start+period {
			sum += b.entries[last].cost(kappa)
			last++
		}
		most = max(most, sum)
		sum -= b.entries[i].cost(kappa)
	}
	// The span that begins at start itself.
	for ; last < len(b.entries) && b.entries[last].start < start+period; last++ {
		sum += b.entries[last].cost(kappa)
	}
	return max(most, sum)
}

func (e entry) epsilon() privacy.Epsilon { return privacy.Epsilon(e.micro) }

func (e entry) cost(kappa uint32) privacy.Epsilon {
	if kappa != anyKappa && kappa != e.kappa {
		return 0
	}
	return e.epsilon()
}

func (b *Book) charged(start int64, kappa uint32) bool {
	if b.kappas[kappa].newest == start {
		return true
	}
	at := sort.Search(len(b.entries), func(i int) bool { return b.entries[i].start >= start })
	for ; at < len(b.entries) && b.entries[at].start == start; at++ {
		if b.entries[at].kappa == kappa {
			return true
		}
	}
	return false
}

func (b *Book) find(name string) (uint32, bool) {
	for i := range b.kappas {
		if b.kappas[i].name == name {
			return uint32(i), true
		}
	}
	return 0, false
}

func (s *Spent) add(e privacy.Epsilon) {
	s.Epsilon += e
	s.Rho += rho(e)
	s.Reports++
}

// rho is ε²/2 in billionths, rounded up.
func rho(e privacy.Epsilon) uint64 {
	const unitsPerRho = 2000 // ε² in 10⁻¹², halved, in 10⁻⁹
	return (e.Micro()*e.Micro() + unitsPerRho - 1) / unitsPerRho
}
