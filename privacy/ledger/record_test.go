package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

const owner = "b827eb-0001"

// file writes a ledger of so many hourly charges, as a device does.
func file(t *testing.T, charges int) (*ledger.Book, ledger.Chain, []byte) {
	t.Helper()
	b := book(t, limits())
	chain, record, err := ledger.Open(owner, epoch)
	if err != nil {
		t.Fatal(err)
	}
	out := append([]byte(nil), record[:]...)
	for i := range charges {
		c := charge("kappa-"+string(rune('a'+i%2)), time.Duration(i)*hour, 3*one)
		if chain, record, err = chain.Seal(c); err != nil {
			t.Fatal(err)
		}
		out = append(out, record[:]...)
		if err := b.Reserve(c); err != nil {
			t.Fatal(err)
		}
	}
	return b, chain, out
}

func TestReplayRebuildsTheBook(t *testing.T) {
	for _, charges := range []int{0, 1, 2, 100} {
		b, chain, bytes := file(t, charges)
		r, err := ledger.Replay(limits(), owner, bytes)
		if err != nil {
			t.Fatal(err)
		}
		if r.Chain != chain || r.Chain.Length() != uint64(charges)+1 || r.TornBytes != 0 || !r.Opened.Equal(epoch) {
			t.Errorf("%d charges: %+v", charges, r)
		}
		if r.Book.Spent() != b.Spent() || fmt.Sprint(r.Book.Kappas()) != fmt.Sprint(b.Kappas()) {
			t.Errorf("%d charges: spent %+v, want %+v", charges, r.Book.Spent(), b.Spent())
		}
		for minutes := range 150 {
			c := charge("kappa-a", time.Duration(charges)*hour-2*hour+time.Duration(minutes)*time.Minute, one)
			if got, want := r.Book.Check(c), b.Check(c); !errors.Is(got, errors.Unwrap(want)) && got != want {
				t.Errorf("%d charges, %v: %v, want %v", charges, c.WindowStart, got, want)
			}
		}
	}
}

func TestStricterPolicyKeepsWhatWasSpent(t *testing.T) {
	_, _, bytes := file(t, 10)
	l := ledger.Limits{PerPeriod: one, Period: 48 * hour, Lifetime: 31 * one}
	r, err := ledger.Replay(l, owner, bytes)
	if err != nil {
		t.Fatal(err)
	}
	if left := r.Book.Left(epoch.Add(20 * hour)); left.Period != 0 || left.Lifetime != one || r.Book.Spent().Epsilon != 30*one {
		t.Errorf("left %+v after %+v", left, r.Book.Spent())
	}
	want(t, r.Book.Check(charge("a", 20*hour, 1)), ledger.PeriodSpent)
}

func TestUnfinishedWriteIsCut(t *testing.T) {
	_, before, whole := file(t, 3)
	tails := map[string][]byte{
		"one byte":      {'Q'},
		"most of it":    whole[ledger.RecordBytes : 2*ledger.RecordBytes-1],
		"zeros":         make([]byte, ledger.RecordBytes),
		"zeros and odd": make([]byte, 3*ledger.RecordBytes+7),
	}
	for name, tail := range tails {
		r, err := ledger.Replay(limits(), owner, append(append([]byte(nil), whole...), tail...))
		if err != nil || r.TornBytes != len(tail) || r.Chain != before {
			t.Errorf("%s: %v, torn %d of %d", name, err, r.TornBytes, len(tail))
		}
	}
}

// TestTamperedFilesStop changes a file in every way that a bad card, a copy or
// an attacker might.
func TestTamperedFilesStop(t *testing.T) {
	const n = ledger.RecordBytes
	_, _, whole := file(t, 4)
	_, _, other := file(t, 5)
	foreign := func() []byte {
		_, record, err := ledger.Open("another device", epoch)
		if err != nil {
			t.Fatal(err)
		}
		return record[:]
	}()
	// A fork has the right number, a forged one the right hash.
	forked, _, err := ledger.Open(owner, epoch.Add(hour))
	if err != nil {
		t.Fatal(err)
	}
	_, fork, err := forked.Seal(charge("kappa-a", 0, one))
	if err != nil {
		t.Fatal(err)
	}
	forged, err := ledger.Record{
		Kind: ledger.KindCharge, Sequence: 7, Previous: sha256.Sum256(whole[:n]), Charge: charge("kappa-a", 0, one),
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		file  []byte
		fault ledger.Fault
	}{
		"empty":            {nil, ledger.FaultEmpty},
		"only zeros":       {make([]byte, 4*n), ledger.FaultEmpty},
		"torn opening":     {whole[:n-1], ledger.FaultEmpty},
		"no opening":       {whole[n:], ledger.FaultChain},
		"one removed":      {join(whole[:2*n], whole[3*n:]), ledger.FaultChain},
		"two swapped":      {join(whole[:n], whole[2*n:3*n], whole[n:2*n], whole[3*n:]), ledger.FaultChain},
		"one twice":        {join(whole[:2*n], whole[n:2*n], whole[2*n:]), ledger.FaultChain},
		"opened again":     {join(whole, whole[:n]), ledger.FaultChain},
		"fork":             {join(whole[:n], fork[:]), ledger.FaultChain},
		"number jumps":     {join(whole[:n], forged[:]), ledger.FaultChain},
		"another device":   {foreign, ledger.FaultOwner},
		"another's start":  {join(foreign, whole[n:]), ledger.FaultOwner},
		"hole in the file": {join(whole[:2*n], make([]byte, n), whole[3*n:]), ledger.FaultRecord},
		"garbage behind":   {join(whole, bytes.Repeat([]byte{7}, n)), ledger.FaultRecord},
		"shifted":          {join([]byte{0}, whole), ledger.FaultRecord},
	} {
		if r, err := ledger.Replay(limits(), owner, c.file); !errors.Is(err, c.fault) || r.Book != nil {
			t.Errorf("%s: %v, want %v", name, err, c.fault)
		}
	}
	for i := range whole {
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 1 << (i % 8)
		if _, err := ledger.Replay(limits(), owner, damaged); err == nil {
			t.Errorf("a flipped bit in byte %d is not seen", i)
		}
	}
	// A rolled-back file is a valid one: the head and the length, kept elsewhere,
	// show it.
	long, err := ledger.Replay(limits(), owner, other)
	if err != nil {
		t.Fatal(err)
	}
	short, err := ledger.Replay(limits(), owner, other[:5*n])
	if err != nil || short.Chain.Length() >= long.Chain.Length() || short.Chain.Head() == long.Chain.Head() {
		t.Errorf("rollback: %v, length %d", err, short.Chain.Length())
	}
}

// TestDoubleChargeInFileStops seals the same window twice with a good chain.
func TestDoubleChargeInFileStops(t *testing.T) {
	chain, record, err := ledger.Open(owner, epoch)
	if err != nil {
		t.Fatal(err)
	}
	out := append([]byte(nil), record[:]...)
	for range 2 {
		if chain, record, err = chain.Seal(charge("a", 0, one)); err != nil {
			t.Fatal(err)
		}
		out = append(out, record[:]...)
	}
	if _, err := ledger.Replay(limits(), owner, out); !errors.Is(err, ledger.FaultChain) {
		t.Errorf("one window charged twice: %v", err)
	}
}

func TestSealRefusesWhatCannotBeWritten(t *testing.T) {
	if _, _, err := (ledger.Chain{}).Seal(charge("a", 0, one)); !errors.Is(err, ledger.FaultEmpty) {
		t.Errorf("a chain without a beginning: %v", err)
	}
	for _, name := range []string{"", strings.Repeat("x", ledger.KappaBytesMax+1), strings.Repeat("x", 300)} {
		if _, _, err := ledger.Open(name, epoch); !errors.Is(err, ledger.FaultRecord) {
			t.Errorf("owner of %d bytes: %v", len(name), err)
		}
	}
	if _, _, err := ledger.Open(owner, time.Time{}); !errors.Is(err, ledger.FaultRecord) {
		t.Errorf("opened before time began: %v", err)
	}
	chain, _, err := ledger.Open(owner, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if after, _, err := chain.Seal(charge("a", 0, 0)); !errors.Is(err, ledger.FaultRecord) || after != chain {
		t.Errorf("a charge of nothing: %v", err)
	}
}

// TestGoldenRecords freezes version 1 byte for byte.
func TestGoldenRecords(t *testing.T) {
	_, _, whole := file(t, 2)
	var out strings.Builder
	for ; len(whole) > 0; whole = whole[ledger.RecordBytes:] {
		fmt.Fprintln(&out, hex.EncodeToString(whole[:ledger.RecordBytes]))
	}
	vectors.File(t, "testdata/records-v1.txt", out.String())

	// The golden bytes stay readable, whatever this version writes.
	text, err := os.ReadFile("testdata/records-v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ledger.Replay(limits(), owner, golden)
	if err != nil || r.Book.Spent().Epsilon != 6*one {
		t.Errorf("golden ledger: %v", err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	chain, record, err := ledger.Open(owner, epoch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record[:])
	_, record, err = chain.Seal(charge("indoor", hour, one))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record[:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ledger.DecodeRecord(b)
		if err != nil {
			if !errors.Is(err, ledger.FaultRecord) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again[:], b) {
			t.Errorf("%+v is written otherwise: %v", r, err)
		}
	})
}

func FuzzReplay(f *testing.F) {
	chain, record, err := ledger.Open(owner, epoch)
	if err != nil {
		f.Fatal(err)
	}
	_, next, err := chain.Seal(charge("indoor", hour, one))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(record[:], next[:]...))
	f.Add(append(record[:], 1, 2, 3))
	r, err := ledger.Replay(limits(), owner, append(record[:], next[:]...))
	if err != nil {
		f.Fatal(err)
	}
	_, compacted, err := r.Chain.Compact(r.Book, owner, epoch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(compacted)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ledger.Replay(limits(), owner, b)
		if err == nil && uint64(len(b)-r.TornBytes) != (r.Chain.Length()-r.Before.Length())*ledger.RecordBytes {
			t.Errorf("%d bytes, %d torn, %d records", len(b), r.TornBytes, r.Chain.Length())
		}
	})
}

// A device charges before it randomises.
func Example() {
	book, err := ledger.NewBook(ledger.Limits{PerPeriod: 4_000_000, Period: time.Hour, Lifetime: 30_000_000})
	if err != nil {
		panic(err)
	}
	chain, _, err := ledger.Open("device-1", time.Unix(1_770_000_000, 0)) // written and synced
	if err != nil {
		panic(err)
	}
	report := ledger.Charge{
		Kappa: "indoor", WindowStart: time.Unix(1_770_000_000, 0), Window: time.Minute,
		Epsilon: 4_000_000, PlanPerPeriod: 4_000_000, PlanPeriod: time.Hour,
	}
	for range 2 {
		if err := book.Check(report); err != nil {
			fmt.Println("silent:", err)
			break
		}
		next, _, err := chain.Seal(report) // append and sync this record …
		if err != nil {
			panic(err)
		}
		chain = next
		if err := book.Reserve(report); err != nil { // … then randomise
			panic(err)
		}
		fmt.Println("charged:", book.Spent().Epsilon)
		report.WindowStart = report.WindowStart.Add(59 * time.Minute)
	}
	// Output:
	// charged: 4
	// silent: ledger: spent in the period: epsilon 0 left
}
