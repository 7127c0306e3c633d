package ledger_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// writer is a ledger's file in memory.
type writer struct {
	t     *testing.T
	book  *ledger.Book
	chain ledger.Chain
	file  []byte
}

func begin(t *testing.T, l ledger.Limits) *writer {
	t.Helper()
	chain, record, err := ledger.Open(owner, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return &writer{t: t, book: book(t, l), chain: chain, file: append([]byte(nil), record[:]...)}
}

// spend charges as a device does, for a memoised value if there is a tag.
func (w *writer) spend(c ledger.Charge, tag ...byte) error {
	w.t.Helper()
	var value [ledger.TagBytes]byte
	copy(value[:], tag)
	check, seal, reserve := w.book.Check, w.chain.Seal, w.book.Reserve
	if len(tag) > 0 {
		check = func(c ledger.Charge) error { return w.book.CheckValue(c, value) }
		seal = func(c ledger.Charge) (ledger.Chain, [ledger.RecordBytes]byte, error) {
			return w.chain.SealValue(c, value)
		}
		reserve = func(c ledger.Charge) error { return w.book.ReserveValue(c, value) }
	}
	if err := check(c); err != nil || w.book.Remembers(value) {
		return err
	}
	next, record, err := seal(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.chain, w.file = next, append(w.file, record[:]...)
	if err := reserve(c); err != nil {
		w.t.Fatal(err)
	}
	return nil
}

// compact replaces the file as a device does.
func (w *writer) compact(l ledger.Limits) ledger.Replayed {
	w.t.Helper()
	weight := w.book.Weight()
	chain, file, err := w.chain.Compact(w.book, owner, epoch)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := ledger.Replay(l, owner, file)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Chain != chain || r.Before != w.chain || r.Compacted != len(file)/ledger.RecordBytes || r.Compacted > weight ||
		!r.Opened.Equal(epoch) || r.Book.Spent() != w.book.Spent() {
		w.t.Fatalf("%d records of weight %d, spent %+v, was %+v", r.Compacted, weight, r.Book.Spent(), w.book.Spent())
	}
	w.book, w.chain, w.file = r.Book, r.Chain, file
	return r
}

// A book that is compacted again and again decides as one that never is, and its file stops growing.
func TestCompactedBookDecidesAlike(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 10))
		l := ledger.Limits{PerPeriod: 4 * one, Period: 30 * time.Minute, Lifetime: 150 * one}
		plain, compacted := begin(t, l), begin(t, l)
		now, largest := time.Duration(0), 0
		for step := range 400 {
			now += time.Duration(random.IntN(10)) * 3 * time.Minute
			c := charge(string(rune('a'+random.IntN(4))), now, privacy.Epsilon(1+random.IntN(4))*one/2)
			if random.IntN(3) == 0 {
				c.WindowStart = c.WindowStart.Add(-time.Duration(random.IntN(9)) * time.Minute)
			}
			c.PlanPeriod = time.Duration(1+random.IntN(4)) * 15 * time.Minute
			var tag []byte
			if random.IntN(5) == 0 {
				tag = []byte{1 + byte(random.IntN(6))}
			}
			want, got := plain.spend(c, tag...), compacted.spend(c, tag...)
			if fmt.Sprint(want) != fmt.Sprint(got) {
				t.Fatalf("seed %d, step %d: %v, uncompacted %v", seed, step, got, want)
			}
			if random.IntN(6) == 0 {
				compacted.compact(l)
				largest = max(largest, len(compacted.file)/ledger.RecordBytes)
			}
			if at := epoch.Add(now); plain.book.Left(at) != compacted.book.Left(at) || plain.book.Period(at) != compacted.book.Period(at) {
				t.Fatalf("seed %d, step %d: left %+v, uncompacted %+v", seed, step, compacted.book.Left(at), plain.book.Left(at))
			}
		}
		if fmt.Sprint(plain.book.Kappas()) != fmt.Sprint(compacted.book.Kappas()) || plain.book.Values() != compacted.book.Values() {
			t.Fatalf("seed %d: %+v, uncompacted %+v", seed, compacted.book.Kappas(), plain.book.Kappas())
		}
		if plain.book.Spent().Reports < 100 {
			t.Fatalf("seed %d: only %d charges", seed, plain.book.Spent().Reports)
		}
		if largest > 200 {
			t.Errorf("seed %d: a compacted file has %d records", seed, largest)
		}
	}
}

// A year of hourly charges of ever new kappas is as small as the last days.
func TestFileIsBoundedByThePeriod(t *testing.T) {
	l := limits()
	l.Lifetime = privacy.MaxBudget
	w := begin(t, l)
	most := 0
	for h := range 9000 {
		if err := w.spend(charge(fmt.Sprintf("k%d", h/7), time.Duration(h)*hour, 4*one)); err != nil {
			t.Fatal(err)
		}
		if h%100 == 99 {
			most = max(most, w.compact(l).Compacted)
		}
	}
	if spent := w.book.Spent(); spent.Epsilon != 36_000*one || spent.Reports != 9000 || spent.Rho != 9000*8_000_000_000 {
		t.Errorf("spent %+v", spent)
	}
	if most > 300 || len(w.book.Kappas()) != 256 {
		t.Errorf("%d records, %d kappas", most, len(w.book.Kappas()))
	}
}

// A longer policy after a compaction is refused until it can be judged, never guessed.
func TestLongerPolicyAfterCompactionWaits(t *testing.T) {
	w := begin(t, limits())
	for h := range 100 {
		want(t, w.spend(charge("a", time.Duration(h)*hour, 4*one)), nil)
	}
	w.compact(limits())
	longer := ledger.Limits{PerPeriod: 4 * one, Period: 90 * hour, Lifetime: 1000 * one}
	r, err := ledger.Replay(longer, owner, w.file)
	if err != nil {
		t.Fatal(err)
	}
	want(t, r.Book.Check(charge("a", 100*hour, 1)), ledger.Forgotten)
	want(t, r.Book.Check(charge("a", 300*hour, one)), nil)
}

func TestValueIsChargedOnce(t *testing.T) {
	w := begin(t, limits())
	want(t, w.spend(charge("room", 0, 3*one), 7), nil)
	for h := time.Duration(1); h < 50; h++ {
		want(t, w.spend(charge("room", h*hour, 3*one), 7), nil)
	}
	if got := w.book.Spent(); got.Reports != 1 || got.Epsilon != 3*one || w.book.Values() != 1 {
		t.Errorf("spent %+v", got)
	}
	want(t, w.spend(charge("room", 50*hour, 3*one), 8), nil)
	want(t, w.spend(charge("room", 50*hour, 3*one), 9), ledger.AlreadyCharged)
	want(t, w.spend(charge("room", 50*hour+time.Minute, 3*one), 9), ledger.PeriodSpent)
	want(t, w.spend(charge("room", 49*hour, 3*one), 7), ledger.ClockBack)
	want(t, w.book.CheckValue(charge("room", 60*hour, one), [ledger.TagBytes]byte{}), ledger.Invalid)
	w.compact(limits())
	want(t, w.spend(charge("room", 51*hour, 3*one), 7), nil)
	want(t, w.spend(charge("room", 52*hour, 3*one), 8), nil)
	if got := w.book.Spent(); got.Reports != 2 || w.book.Values() != 2 {
		t.Errorf("spent %+v", got)
	}
}

func TestDamagedCheckpointsStop(t *testing.T) {
	w := begin(t, limits())
	for h := range 5 {
		want(t, w.spend(charge("a", time.Duration(h)*hour, one), byte(h+1)), nil)
	}
	w.compact(limits())
	want(t, w.spend(charge("a", 6*hour, one)), nil)
	const n = ledger.RecordBytes
	for cut := n; cut < len(w.file)-n; cut += n {
		if _, err := ledger.Replay(limits(), owner, w.file[:cut]); !errors.Is(err, ledger.FaultChain) {
			t.Errorf("cut after %d records: %v", cut/n, err)
		}
	}
	if _, err := ledger.Replay(limits(), owner, w.file[n:]); !errors.Is(err, ledger.FaultChain) {
		t.Errorf("without the checkpoint: %v", err)
	}
	if _, err := ledger.Replay(limits(), "another", w.file); !errors.Is(err, ledger.FaultOwner) {
		t.Errorf("another's: %v", err)
	}
	for i := range w.file {
		damaged := append([]byte(nil), w.file...)
		damaged[i] ^= 1 << (i % 8)
		if _, err := ledger.Replay(limits(), owner, damaged); err == nil {
			t.Fatalf("a flipped bit in byte %d is not seen", i)
		}
	}
	_, again, err := w.chain.Compact(w.book, owner, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Replay(limits(), owner, append(w.file, again...)); !errors.Is(err, ledger.FaultChain) {
		t.Errorf("a checkpoint in the middle: %v", err)
	}
	if _, _, err := (ledger.Chain{}).Compact(w.book, owner, epoch); !errors.Is(err, ledger.FaultEmpty) {
		t.Errorf("nothing to compact: %v", err)
	}
}

// Version 2 is a promise too.
func TestGoldenCheckpoint(t *testing.T) {
	w := begin(t, limits())
	want(t, w.spend(charge("indoor", 0, one)), nil)
	want(t, w.spend(charge("room", hour, 2*one), 1, 2, 3), nil)
	value := w.file[2*ledger.RecordBytes:]
	out := hex.EncodeToString(value) + "\n"
	w.compact(limits())
	for file := w.file; len(file) > 0; file = file[ledger.RecordBytes:] {
		out += hex.EncodeToString(file[:ledger.RecordBytes]) + "\n"
	}
	vectors.File(t, "testdata/records-v2.txt", out)
	text, err := os.ReadFile("testdata/records-v2.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "\n")
	golden, err := hex.DecodeString(strings.ReplaceAll(block, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ledger.Replay(limits(), owner, golden)
	if err != nil || r.Book.Spent().Epsilon != 3*one || r.Book.Values() != 1 {
		t.Errorf("golden checkpoint: %v", err)
	}
}

func TestPeriodIsTheFullestSpan(t *testing.T) {
	w := begin(t, limits())
	want(t, w.spend(charge("a", 0, one)), nil)
	want(t, w.spend(charge("b", 30*time.Minute, 2*one)), nil)
	want(t, w.spend(charge("a", 70*time.Minute, one)), nil)
	for minutes, want := range map[time.Duration]ledger.Spent{
		0: {Epsilon: 3 * one, Rho: 2_500_000_000, Reports: 2}, 65: {Epsilon: 3 * one, Rho: 2_500_000_000, Reports: 2},
		129: {Epsilon: one, Rho: 500_000_000, Reports: 1}, 200: {},
	} {
		at := epoch.Add(minutes * time.Minute)
		if got := w.book.Period(at); got != want || w.book.Left(at).Period != 4*one-want.Epsilon {
			t.Errorf("minute %d: %+v, want %+v", minutes, got, want)
		}
	}
}
