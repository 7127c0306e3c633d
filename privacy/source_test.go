package privacy_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// counter is a reader whose words differ and are known.
type counter struct{ reads, word uint64 }

func (c *counter) Read(b []byte) (int, error) {
	c.reads++
	for at := 0; at < len(b); at += 8 {
		c.word++
		binary.LittleEndian.PutUint64(b[at:], c.word)
	}
	return len(b), nil
}

// block is a source that is stuck at the same bytes for each length of a call,
// but for the first call.
type block struct{ reads uint64 }

func (s *block) Read(b []byte) (int, error) {
	s.reads++
	for at := 0; at < len(b); at += 8 {
		binary.LittleEndian.PutUint64(b[at:], uint64(at)+min(s.reads, 2))
	}
	return len(b), nil
}

func words(values ...uint64) *bytes.Reader {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return bytes.NewReader(b)
}

// zeros is a source that is stuck.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestSecureFailsClosed(t *testing.T) {
	for name, reader := range map[string]io.Reader{
		"nil":              nil,
		"empty":            bytes.NewReader(nil),
		"error":            iotest.ErrReader(io.ErrClosedPipe),
		"short":            bytes.NewReader([]byte{1, 2, 3}),
		"one at a time":    iotest.OneByteReader(rand.Reader),
		"data with error":  iotest.DataErrReader(words(7)),
		"constant":         zeros{},
		"ends after start": words(7),
	} {
		for _, mechanism := range mechanisms.Names() {
			m, err := mechanisms.ByName(mechanism, 1_000_000)
			if err != nil {
				t.Fatal(err)
			}
			if code, err := m.Randomise(1, privacy.NewSecure(reader)); !errors.Is(err, privacy.ErrEntropy) || code != 0 {
				t.Errorf("%s, %s: %d, %v", name, mechanism, code, err)
			}
		}
	}
}

func TestSecureStaysFailed(t *testing.T) {
	// A word to begin with; then each draw takes a word and a spare one.
	reader := words(1, 2, 3, 4, 5, 5, 6, 7)
	src := privacy.NewSecure(reader)
	for _, want := range []uint64{2, 4} {
		if got, err := src.Uint64(); err != nil || got != want {
			t.Fatalf("word %d, %v; want %d", got, err, want)
		}
	}
	for range 3 {
		if got, err := src.Uint64(); !errors.Is(err, privacy.ErrEntropy) || got != 0 {
			t.Errorf("after a repetition: %d, %v", got, err)
		}
		if got, err := src.Expand(); !errors.Is(err, privacy.ErrEntropy) || got != nil {
			t.Errorf("after a repetition: %v, %v", got, err)
		}
	}
	if reader.Len() != 8 || src.Holds() {
		t.Errorf("a failed source read on, %d bytes left, or keeps what it read", reader.Len())
	}
	cause := privacy.NewSecure(iotest.ErrReader(io.ErrClosedPipe))
	if _, err := cause.Uint64(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the cause is lost: %v", err)
	}
}

// TestSecureSeesRepetitions plants one in every place of a draw.
func TestSecureSeesRepetitions(t *testing.T) {
	for same := range 7 {
		values := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
		if same < 6 { // the last time there is none
			values[same+1] = values[same]
		}
		src := privacy.NewSecure(words(values...))
		_, first := src.Expand() // takes one word to begin with, four and a spare one
		_, second := src.Uint64()
		for i, failed := range []error{first, second} {
			if want := same < 5 || same == 5 && i == 1; errors.Is(failed, privacy.ErrEntropy) != want {
				t.Errorf("words %d and %d are equal: draw %d gives %v", same, same+1, i, failed)
			}
		}
	}
	src := privacy.NewSecure(&block{})
	if _, err := src.Uint64(); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Uint64(); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("a reader that repeats its bytes: %v", err)
	}
}

func TestSecureReadsNothingAhead(t *testing.T) {
	reader := &counter{}
	src := privacy.NewSecure(reader)
	if reader.reads != 0 {
		t.Error("a source that wasn't asked has read")
	}
	for i := range uint64(5) {
		if got, err := src.Uint64(); err != nil || got != 2*i+2 {
			t.Fatalf("word %d, %v", got, err)
		}
		// One read more than asked for: the one that started the health test.
		if reader.reads != i+2 || reader.word != 2*i+3 {
			t.Errorf("%d reads of %d words for %d words", reader.reads, reader.word, i+1)
		}
	}
}

// TestExpansionIsChaCha8 expands a known key, and another one for the next report.
func TestExpansionIsChaCha8(t *testing.T) {
	src := privacy.NewSecure(&counter{word: 99})
	for report := range uint64(3) {
		var key [32]byte
		for i := range uint64(4) {
			binary.LittleEndian.PutUint64(key[8*i:], 101+5*report+i)
		}
		want := mathrand.NewChaCha8(key)
		got, err := src.Expand()
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if a, b := got.Uint64(), want.Uint64(); a != b {
				t.Fatalf("report %d: %x, want %x", report, a, b)
			}
		}
	}
}

// TestNothingOutlivesAReport looks into the source after reports of every
// mechanism and after those that failed.
func TestNothingOutlivesAReport(t *testing.T) {
	reader := &counter{}
	src := privacy.NewSecure(reader)
	report := func(name string, randomise func() error) {
		before := reader.word
		if err := randomise(); err != nil {
			t.Fatal(err)
		}
		if src.Holds() || reader.word == before {
			t.Errorf("%s: after a report the source holds what it read, or it read nothing", name)
		}
	}
	for _, name := range mechanisms.Names() {
		m, err := mechanisms.ByName(name, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		report(name, func() error { _, err := m.Randomise(1, src); return err })
	}
	for _, name := range mechanisms.OptIns() {
		m, err := mechanisms.OptIn(name, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		report(name, func() error { _, err := m.Randomise(1, src); return err })
	}
	for _, name := range mechanisms.CategoricalNames() {
		m, err := mechanisms.CategoricalByName(name, 1_000_000, 300)
		if err != nil {
			t.Fatal(err)
		}
		report(name, func() error { _, err := m.Randomise(1, src, nil); return err })
	}
	held, err := src.Expand()
	if err != nil || !src.Holds() {
		t.Fatalf("an expansion that is in use isn't seen: %v", err)
	}
	held.Discard()
	held.Discard()
	if src.Holds() {
		t.Error("discarded words are kept")
	}
	defer func() {
		if recover() == nil {
			t.Error("discarded words are read")
		}
	}()
	held.Uint64()
}

// TestInputDoesNotChangeTheDraws counts words: the number must not depend on the
// input.
func TestInputDoesNotChangeTheDraws(t *testing.T) {
	for _, name := range mechanisms.Names() {
		for _, e := range []privacy.Epsilon{500_000, 1_000_000, 16_000_000} {
			m, err := mechanisms.ByName(name, e)
			if err != nil {
				t.Fatal(err)
			}
			var want uint64
			for _, input := range []uint32{0, m.Levels() / 2, m.Levels()} {
				reader := &counter{}
				if _, err := m.Randomise(input, privacy.NewSecure(reader)); err != nil {
					t.Fatal(err)
				}
				if want == 0 {
					want = reader.reads
				}
				if reader.reads != want {
					t.Errorf("%s ε=%v: input %d takes %d words, input 0 takes %d", name, e, input, reader.reads, want)
				}
			}
		}
	}
}

func TestRandomiseAllocatesNothing(t *testing.T) {
	src := privacy.NewSeeded(1)
	for _, name := range mechanisms.Names() {
		m, err := mechanisms.ByName(name, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := m.Randomise(1, src); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s allocates %v times per report", name, n)
		}
	}
}

func BenchmarkRandomise(b *testing.B) {
	for _, name := range mechanisms.Names() {
		m, err := mechanisms.ByName(name, 1_000_000)
		if err != nil {
			b.Fatal(err)
		}
		for kind, src := range map[string]privacy.Source{
			"seeded": privacy.NewSeeded(1), "secure": privacy.NewSecure(rand.Reader),
		} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Randomise(1, src); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
