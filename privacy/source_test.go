package privacy_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// counter is a reader whose words differ and are known.
type counter struct{ reads, word uint64 }

func (c *counter) Read(b []byte) (int, error) {
	c.reads++
	c.word++
	binary.LittleEndian.PutUint64(b, c.word)
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
	reader := words(1, 2, 3, 3, 4, 5)
	src := privacy.NewSecure(reader)
	for _, want := range []uint64{2, 3} {
		if got, err := src.Uint64(); err != nil || got != want {
			t.Fatalf("word %d, %v; want %d", got, err, want)
		}
	}
	for range 3 {
		if got, err := src.Uint64(); !errors.Is(err, privacy.ErrEntropy) || got != 0 {
			t.Errorf("after a repetition: %d, %v", got, err)
		}
	}
	if reader.Len() != 16 {
		t.Errorf("a failed source read on: %d bytes left", reader.Len())
	}
	cause := privacy.NewSecure(iotest.ErrReader(io.ErrClosedPipe))
	if _, err := cause.Uint64(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestSecureReadsNothingAhead(t *testing.T) {
	reader := &counter{}
	src := privacy.NewSecure(reader)
	if reader.reads != 0 {
		t.Error("a source that wasn't asked has read")
	}
	for i := range uint64(5) {
		if got, err := src.Uint64(); err != nil || got != i+2 {
			t.Fatalf("word %d, %v", got, err)
		}
		// One word more than asked for: the one that started the health test.
		if reader.reads != i+2 {
			t.Errorf("%d reads for %d words", reader.reads, i+1)
		}
	}
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
