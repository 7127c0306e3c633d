package memo_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/grr"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

const one = privacy.Epsilon(1_000_000)

// prices are pairs of ε∞ and ε₁.
var prices = [][2]privacy.Epsilon{
	{one, one / 2}, {2 * one, one}, {4 * one, 3 * one}, {one, 1}, {one, one}, {8 * one, one / 10}, {20 * one, 20 * one}, {1, 1},
}

func mechanism(t testing.TB, forever, once privacy.Epsilon, k uint32) *memo.Mechanism {
	t.Helper()
	m, err := memo.New(forever, once, k)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func keyOf(n uint64) *privacy.Key {
	s := [privacy.SecretBytes]byte{1}
	for i := range 8 {
		s[i+1] = byte(n >> (8 * i))
	}
	return privacy.NewKey(&s)
}

// Both promises are proven by integers, and the composed matrix is what it says, entry by entry.
func TestCertificates(t *testing.T) {
	for _, p := range prices {
		for _, k := range []uint32{2, 3, 7, 32, 1000} {
			if p[0] == 1 && k > 2 {
				continue
			}
			m := mechanism(t, p[0], p[1], k)
			report, err := m.Certificate()
			if err != nil || !report.Holds() || report.Epsilon != p[1] {
				t.Fatalf("ε∞=%v ε₁=%v k=%d: %+v, %v", p[0], p[1], k, report, err)
			}
			forever, err := m.ForeverCertificate()
			if err != nil || !forever.Holds() || forever.Epsilon != p[0] || m.Forever() != p[0] {
				t.Fatalf("ε∞=%v ε₁=%v k=%d: %+v, %v", p[0], p[1], k, forever, err)
			}
			if forever.WorstRatio.Cmp(report.WorstRatio) < 0 {
				t.Errorf("ε∞=%v ε₁=%v k=%d: one report tells more than all", p[0], p[1], k)
			}
			if k > 32 {
				continue
			}
			whole, err := privacy.EnumerateReports(m)
			if err != nil || !whole.Holds() || whole.WorstRatio.Cmp(report.WorstRatio) != 0 {
				t.Errorf("ε∞=%v ε₁=%v k=%d: %+v, %v", p[0], p[1], k, whole, err)
			}
		}
	}
}

// rates returns the exact probabilities of k-ary randomised response.
func rates(t *testing.T, e privacy.Epsilon, k uint32) (p, q *big.Rat) {
	t.Helper()
	m, err := grr.New(e, k)
	if err != nil {
		t.Fatal(err)
	}
	return m.ExactRates()
}

// The second round is as light as ε₁ allows: the solution for p₂, in floating point, is the oracle. The published one
// (LOLOHA's code for L-GRR) compares p₁p₂+q₁q₂ with p₁q₂+q₁p₂, which is the ratio for two categories only and adds noise
// that ε₁ doesn't ask for with more.
func TestSecondRoundWastesNothing(t *testing.T) {
	for _, p := range [][2]privacy.Epsilon{{one, one / 2}, {2 * one, one}, {4 * one, 3 * one}, {8 * one, one / 10}, {one, one / 1000}} {
		for _, k := range []uint32{2, 3, 10, 100} {
			m := mechanism(t, p[0], p[1], k)
			r1, r2 := rates(t, p[0], k)
			p1, _ := r1.Float64()
			q1, _ := r2.Float64()
			e, n := math.Exp(p[1].Float64()), float64(k)
			gapOf := func(p2 float64) float64 { return (p1 - q1) * (p2 - (1-p2)/(n-1)) }
			want := gapOf((e*(1-q1) - (1 - p1)) / (n*p1 - 1 + e*(1-n*q1)))
			published := gapOf((q1 - e*p1) / (-p1*e + n*q1*e - q1*e - p1*(n-1) + q1))
			rates := m.Rates()
			got := rates.Truth - rates.Other
			// A step of a millionth in the second round's ε moves the gap by at most some 2e-6/ε₁ of it.
			if math.Abs(got-want) > 4e-6*want/p[1].Float64() {
				t.Errorf("ε∞=%v ε₁=%v k=%d: p*-q* = %g, formula %g", p[0], p[1], k, got, want)
			}
			if k == 2 && math.Abs(want-published) > 1e-12 || k > 2 && want <= published {
				t.Errorf("ε∞=%v ε₁=%v k=%d: p*-q* = %g, published %g", p[0], p[1], k, want, published)
			}
		}
	}
}

// Any number of reports about one category costs ε∞ and no more: all sequences of up to five are enumerated for three
// categories, in exact rationals; and two reports do cost more than ε₁, so that the ledger must not charge that.
func TestManyReportsCostForever(t *testing.T) {
	const k, forever, once = 3, 2 * one, one
	p1, q1 := rates(t, forever, k)
	m := mechanism(t, forever, once, k)
	// p* = p₁p₂ + (1-p₁)(1-p₂)/(k-1) is solved for p₂.
	truth, _ := m.ExactRates()
	unit := big.NewRat(1, 1)
	rest := new(big.Rat).Quo(new(big.Rat).Sub(unit, p1), big.NewRat(k-1, 1))
	p2 := new(big.Rat).Quo(new(big.Rat).Sub(truth, rest), new(big.Rat).Sub(p1, rest))
	q2 := new(big.Rat).Quo(new(big.Rat).Sub(unit, p2), big.NewRat(k-1, 1))
	bound, before := privacy.ExpLowerBound(forever), new(big.Rat)
	for length := 1; length <= 5; length++ {
		worst := new(big.Rat)
		for y := range int(math.Pow(k, float64(length))) {
			var low, high *big.Rat
			for category := range k {
				sum := new(big.Rat)
				for u := range k {
					term := new(big.Rat).Set(pick(u == category, p1, q1))
					for i, rest := 0, y; i < length; i, rest = i+1, rest/k {
						term.Mul(term, pick(rest%k == u, p2, q2))
					}
					sum.Add(sum, term)
				}
				if low == nil || sum.Cmp(low) < 0 {
					low = sum
				}
				if high == nil || sum.Cmp(high) > 0 {
					high = sum
				}
			}
			if ratio := new(big.Rat).Quo(high, low); ratio.Cmp(worst) > 0 {
				worst = ratio
			}
		}
		if worst.Cmp(bound) > 0 || worst.Cmp(before) <= 0 {
			t.Errorf("%d reports: worst ratio %v after %v, bound %v", length, worst.FloatString(6), before.FloatString(6), bound.FloatString(6))
		}
		if limit := privacy.ExpLowerBound(once); (worst.Cmp(limit) <= 0) != (length == 1) {
			t.Errorf("%d reports: worst ratio %v against one report's %v", length, worst.FloatString(6), limit.FloatString(6))
		}
		before = worst
	}
}

func pick(first bool, a, b *big.Rat) *big.Rat {
	if first {
		return a
	}
	return b
}

func TestAnswersAreTheSameAfterARestart(t *testing.T) {
	m := mechanism(t, 2*one, one, 5)
	again := mechanism(t, 2*one, one, 5)
	lighter := mechanism(t, 2*one, one/2, 5)
	differ := 0
	for n := range uint64(200) {
		for category := range uint32(5) {
			a, err := m.Answer(keyOf(n), "room", int64(n), category, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := again.Answer(keyOf(n), "room", int64(n), category, nil)
			if err != nil || !bytes.Equal(a, b) {
				t.Fatalf("%x, then %x, %v", a, b, err)
			}
			next, err := m.Answer(keyOf(n), "room", int64(n)+1, category, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a, next) {
				differ++
			}
			// The permanent answer and the mark are the question's, whatever one report may cost.
			x, _ := m.Permanent(keyOf(n), "room", category)
			y, _ := lighter.Permanent(keyOf(n), "room", category)
			if x != y || m.Tag(keyOf(n), "room", category) != lighter.Tag(keyOf(n), "room", category) {
				t.Fatal("a lighter second round changes the first")
			}
		}
	}
	if differ < 100 {
		t.Errorf("only %d of 1000 answers differ from window to window", differ)
	}
	if _, err := m.Answer(keyOf(1), "room", 0, 5, nil); !errors.Is(err, privacy.ErrInput) {
		t.Errorf("a category too many: %v", err)
	}
}

func TestMarksDiffer(t *testing.T) {
	marks := map[[memo.TagBytes]byte]string{}
	for _, forever := range []privacy.Epsilon{one, 2 * one} {
		for _, k := range []uint32{4, 5} {
			m := mechanism(t, forever, one, k)
			for n := range uint64(3) {
				for _, question := range []string{"", "room", "room2"} {
					for category := range k {
						name := fmt.Sprint(forever, k, n, question, category)
						tag := m.Tag(keyOf(n), question, category)
						if other, ok := marks[tag]; ok {
							t.Fatalf("%s and %s have one mark", name, other)
						}
						marks[tag] = name
					}
				}
			}
		}
	}
}

// chi2Limit bounds χ² with d degrees of freedom at a false alarm of 1e-6 (Wilson and Hilferty 1931, z = 4.8, which is
// above the quantile 4.753).
func chi2Limit(d float64) float64 {
	x := 1 - 2/(9*d) + 4.8*math.Sqrt(2/(9*d))
	return d * x * x * x
}

// Over many secrets the permanent answers have the probabilities of the first round; those of two categories are
// independent, and so are two windows given the permanent answer: χ² at a false alarm of 1e-6 each.
func TestAnswersAreDistributedAsStated(t *testing.T) {
	const k, secrets = 3, 20_000
	m := mechanism(t, 2*one, one, k)
	p1, q1 := rates(t, 2*one, k)
	truth, _ := m.ExactRates()
	var permanents [k * k]float64
	var windows [k * k * k]float64
	for n := range uint64(secrets) {
		a, _ := m.Permanent(keyOf(n), "room", 0)
		b, _ := m.Permanent(keyOf(n), "room", 1)
		permanents[a*k+b]++
		x, _ := m.Answer(keyOf(n), "room", 7, 0, nil)
		y, _ := m.Answer(keyOf(n), "room", 8, 0, nil)
		windows[a*k*k+uint32(x[0])*k+uint32(y[0])]++
	}
	first, _ := p1.Float64()
	other, _ := q1.Float64()
	whole, _ := truth.Float64()
	// whole = first·second + (1-first)·(1-second)/(k-1)
	second := (whole - (1-first)/(k-1)) / (first - (1-first)/(k-1))
	prob := func(hit bool, p float64) float64 {
		if hit {
			return p
		}
		return (1 - p) / (k - 1)
	}
	chi2 := 0.0
	for i, got := range permanents {
		want := secrets * prob(i/k == 0, first) * prob(i%k == 1, first)
		chi2 += (got - want) * (got - want) / want
	}
	if limit := chi2Limit(k*k - 1); chi2 > limit {
		t.Errorf("permanent answers: χ² = %.1f, limit %.1f (q₁ = %g)", chi2, limit, other)
	}
	chi2 = 0
	for i, got := range windows {
		u := i / (k * k)
		want := secrets * prob(u == 0, first) * prob(i/k%k == u, second) * prob(i%k == u, second)
		chi2 += (got - want) * (got - want) / want
	}
	if limit := chi2Limit(k*k*k - 1); chi2 > limit {
		t.Errorf("two windows: χ² = %.1f, limit %.1f", chi2, limit)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		forever, once privacy.Epsilon
		k             uint32
		want          error
	}{
		{one, one + 1, 4, privacy.ErrEpsilon},
		{0, 0, 4, privacy.ErrEpsilon},
		{one, 0, 4, privacy.ErrEpsilon},
		{21 * one, one, 4, privacy.ErrEpsilon},
		{one, one, 1, privacy.ErrCategories},
		{one, one, 1<<16 + 1, privacy.ErrCategories},
	} {
		if m, err := memo.New(c.forever, c.once, c.k); !errors.Is(err, c.want) || m != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := memo.NewSecret(bytes.NewReader(make([]byte, 31))); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("31 bytes: %v", err)
	}
	if _, err := memo.NewSecret(bytes.NewReader(make([]byte, 32))); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("zeros: %v", err)
	}
	if s, err := memo.NewSecret(bytes.NewReader(bytes.Repeat([]byte{7}, 32))); err != nil || s[31] != 7 {
		t.Error(err)
	}
}

// The labels, and with them all answers, are a promise: other bytes would be a second permanent answer.
func TestGolden(t *testing.T) {
	var out strings.Builder
	for _, p := range [][2]privacy.Epsilon{{one, one / 2}, {4 * one, 2 * one}} {
		for _, k := range []uint32{2, 8, 300} {
			m := mechanism(t, p[0], p[1], k)
			for _, question := range []string{"sense.room room", "x"} {
				for _, category := range []uint32{0, 1, k - 1} {
					u, err := m.Permanent(keyOf(5), question, category)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&out, "%v %v %d %q %d: %x %d", p[0], p[1], k, question, category, m.Tag(keyOf(5), question, category), u)
					for window := range int64(6) {
						b, err := m.Answer(keyOf(5), question, window*1000, category, nil)
						if err != nil {
							t.Fatal(err)
						}
						fmt.Fprintf(&out, " %x", b)
					}
					fmt.Fprintln(&out)
				}
			}
		}
	}
	vectors.File(t, "testdata/answers-v1.txt", out.String())
}

// A device pays once for each room that it was ever in, and answers every minute.
func Example() {
	secret, err := memo.NewSecret(bytes.NewReader(bytes.Repeat([]byte{42}, privacy.SecretBytes))) // crypto/rand.Reader
	if err != nil {
		panic(err)
	}
	m, err := memo.New(2_000_000, 1_000_000, 4) // ε∞ = 2, ε₁ = 1, four rooms
	if err != nil {
		panic(err)
	}
	book, err := ledger.NewBook(ledger.Limits{PerPeriod: 4_000_000, Period: 24 * time.Hour, Lifetime: 30_000_000})
	if err != nil {
		panic(err)
	}
	key := privacy.NewKey(&secret)
	for minute, room := range []uint32{1, 1, 1, 3, 3, 1, 0} {
		charge := ledger.Charge{
			Kappa: "rooms", WindowStart: time.Unix(1_770_000_000+60*int64(minute), 0), Window: time.Minute,
			Epsilon: m.Forever(), PlanPerPeriod: 30_000_000, PlanPeriod: time.Hour,
		}
		if err := book.ReserveValue(charge, m.Tag(key, "room", room)); err != nil {
			fmt.Println("silent:", err)
			continue
		}
		report, err := m.Answer(key, "room", int64(minute), room, nil)
		if err != nil {
			panic(err)
		}
		fmt.Println(len(report), "byte, spent so far:", book.Spent().Epsilon)
	}
	// Output:
	// 1 byte, spent so far: 2
	// 1 byte, spent so far: 2
	// 1 byte, spent so far: 2
	// 1 byte, spent so far: 4
	// 1 byte, spent so far: 4
	// 1 byte, spent so far: 4
	// silent: ledger: spent in the period: epsilon 0 left
}

// A device that remembers by its key makes marks and reports without allocating.
func TestNothingAllocates(t *testing.T) {
	m, key := mechanism(t, 2*one, one, 64), keyOf(1)
	question, buf, window := strings.Repeat("q", 180), make([]byte, 0, m.Bytes()), int64(0)
	if n := testing.AllocsPerRun(100, func() {
		window++
		_ = m.Tag(key, question, 3)
		if _, err := m.Answer(key, question, window, 3, buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
