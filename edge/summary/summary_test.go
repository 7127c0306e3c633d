package summary_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/summary"
	"github.com/quadrat-dev/quadrat/privacy"
)

// The oracle is math/big.
func TestSummaryIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var s summary.Summary
		sum := new(big.Int)
		least, most, last := int64(math.MaxInt64), int64(math.MinInt64), int64(0)
		n := 1 + r.IntN(20)
		shift := r.IntN(64)
		for range n {
			last = int64(r.Uint64()) >> shift
			least, most = min(least, last), max(most, last)
			sum.Add(sum, big.NewInt(last))
			s.Add(privacy.Micro(last))
		}
		check(t, &s, "last", last)
		check(t, &s, "min", least)
		check(t, &s, "max", most)
		check(t, &s, "count", int64(n)*1_000_000)
		check(t, &s, "avg", rounded(sum, int64(n)))
		check(t, &s, "sum", clamp(sum))
	}
}

func check(t *testing.T, s *summary.Summary, kind string, want int64) {
	t.Helper()
	if got, ok := s.Value(kind); !ok || int64(got) != want {
		t.Fatalf("%s is %d, %v, want %d", kind, got, ok, want)
	}
}

// rounded is sum/n to the nearest, halves away from zero.
func rounded(sum *big.Int, n int64) int64 {
	twice := new(big.Int).Abs(sum)
	twice.Lsh(twice, 1).Add(twice, big.NewInt(n))
	twice.Quo(twice, big.NewInt(2*n))
	if sum.Sign() < 0 {
		twice.Neg(twice)
	}
	return clamp(twice)
}

func clamp(x *big.Int) int64 {
	switch {
	case x.IsInt64():
		return x.Int64()
	case x.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func TestNothingToSay(t *testing.T) {
	var s summary.Summary
	if _, ok := s.Value("avg"); ok {
		t.Error("no readings gave an average")
	}
	s.Add(1)
	if _, ok := s.Value("median"); ok {
		t.Error("an unknown kind gave a value")
	}
	s.MarkPartial()
	for kind, want := range map[string]bool{"sum": false, "count": false, "avg": true, "last": true} {
		if _, ok := s.Value(kind); ok != want {
			t.Errorf("partial %s: %v", kind, ok)
		}
	}
}

func TestBuffer(t *testing.T) {
	series := summary.Series{Capability: "sense.temperature", Reading: "temperature", WindowMs: 1000}
	b := summary.NewBuffer()
	b.Add("sense.temperature", "temperature", 500, 1)
	b.Want(2500, []summary.Series{series})
	b.Add("sense.temperature", "temperature", 2600, 7)
	b.Add("sense.temperature", "humidity", 2700, 1000)
	b.Add("sense.temperature", "temperature", 3000, 9)
	value := func(window int64, kind string) (privacy.Micro, bool) {
		s := b.Summary(series, window)
		return s.Value(kind)
	}
	if v, ok := value(2, "avg"); !ok || v != 7 {
		t.Errorf("window 2: %d, %v", v, ok)
	}
	if _, ok := value(2, "sum"); ok {
		t.Error("window 2 began before the buffer listened, yet it has a sum")
	}
	if v, ok := value(3, "sum"); !ok || v != 9 {
		t.Errorf("window 3: %d, %v", v, ok)
	}
	if _, ok := value(0, "avg"); ok {
		t.Error("window 0 was never listened to")
	}
	b.Add("sense.temperature", "temperature", 9000, 1)
	b.Add("sense.temperature", "temperature", 5000, 5)
	if _, ok := value(5, "avg"); ok {
		t.Error("window 5 is older than what is kept")
	}
	b.Want(9500, nil)
	if _, ok := value(9, "avg"); ok {
		t.Error("a forgotten series still answers")
	}
}
