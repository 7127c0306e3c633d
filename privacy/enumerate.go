package privacy

import "math/big"

const (
	// enumerateBytes bounds the reports that EnumerateReports lists.
	enumerateBytes = 2
	// enumerateCategories bounds the categories.
	enumerateCategories = 32
)

// EnumerateReports certifies a categorical mechanism by trying every string of
// bytes as a report: it is the oracle beside the structural certificates, and it
// sees a second encoding of a report, since the probabilities then add up to
// more than 1. It fails with ErrTooLarge above two bytes or 32 categories, and
// with ErrCertificate when a report is possible for some categories only.
func EnumerateReports(m Categorical) (Certificate, error) {
	if m.Bytes() > enumerateBytes || m.Categories() > enumerateCategories {
		return Certificate{}, ErrTooLarge
	}
	e := enumeration{m: m, sums: rats(m.Categories()), support: map[[2]uint32]*big.Rat{}, worst: new(big.Rat)}
	report := make([]byte, m.Bytes())
	for number := range 1 << (8 * m.Bytes()) {
		for i := range report {
			report[i] = byte(number >> (8 * i))
		}
		supported, err := m.Supported(report, nil)
		if err != nil {
			continue
		}
		if err := e.add(report, supported); err != nil {
			return Certificate{}, err
		}
	}
	return Certificate{
		Mechanism: m.Name(), Epsilon: m.Epsilon(), Levels: m.Categories() - 1, Codes: e.reports,
		WorstRatio: e.worst, Bound: ExpLowerBound(m.Epsilon()),
		RowsSumToOne: e.complete(), Unbiased: e.unbiased(), Enumerated: true,
	}, nil
}

// enumeration adds up the matrix, a row for each category.
type enumeration struct {
	m       Categorical
	reports uint32
	sums    []*big.Rat
	// support is the probability that the report for the first category supports
	// the second.
	support map[[2]uint32]*big.Rat
	worst   *big.Rat
}

func (e *enumeration) add(report []byte, supported []uint32) error {
	e.reports++
	var low, high *big.Rat
	for category := range e.m.Categories() {
		p := e.m.Probability(report, category)
		if low == nil || p.Cmp(low) < 0 {
			low = p
		}
		if high == nil || p.Cmp(high) > 0 {
			high = p
		}
		e.sums[category].Add(e.sums[category], p)
		for _, c := range supported {
			pair := [2]uint32{category, c}
			if e.support[pair] == nil {
				e.support[pair] = new(big.Rat)
			}
			e.support[pair].Add(e.support[pair], p)
		}
	}
	if low.Sign() <= 0 {
		return ErrCertificate
	}
	if ratio := new(big.Rat).Quo(high, low); ratio.Cmp(e.worst) > 0 {
		e.worst = ratio
	}
	return nil
}

func (e *enumeration) complete() bool {
	for _, sum := range e.sums {
		if sum.Cmp(big.NewRat(1, 1)) != 0 {
			return false
		}
	}
	return true
}

// unbiased says that every category is supported at the stated rates, which is
// what makes the mean score of the true one 1 and of any other one 0.
func (e *enumeration) unbiased() bool {
	truth, other := e.m.ExactRates()
	if truth.Cmp(other) <= 0 {
		return false
	}
	for category := range e.m.Categories() {
		for c := range e.m.Categories() {
			want := other
			if c == category {
				want = truth
			}
			got := e.support[[2]uint32{category, c}]
			if got == nil || got.Cmp(want) != 0 {
				return false
			}
		}
	}
	return true
}

func rats(n uint32) []*big.Rat {
	all := make([]*big.Rat, n)
	for i := range all {
		all[i] = new(big.Rat)
	}
	return all
}
