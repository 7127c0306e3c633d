package ledger_test

import (
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// bind binds as a device does.
func (w *writer) bind(mark ...byte) error {
	w.t.Helper()
	var value [ledger.TagBytes]byte
	copy(value[:], mark)
	next, record, err := w.chain.SealSecret(value)
	if err != nil {
		return err
	}
	if err := w.book.BindSecret(value); err != nil {
		return err
	}
	w.chain, w.file = next, append(w.file, record[:]...)
	return nil
}

// A ledger is bound to one secret for ever: through a replay, through compactions, and whatever else is asked of it.
func TestSecretIsBoundForEver(t *testing.T) {
	w := begin(t, limits())
	if _, bound := w.book.Secret(); bound {
		t.Error("a new ledger is bound")
	}
	want(t, w.bind(9, 9), nil)
	want(t, w.spend(charge("room", 0, one), 1, 2, 3), nil)
	for round := range 3 {
		r, err := ledger.Replay(limits(), owner, w.file)
		if err != nil {
			t.Fatal(err)
		}
		mark, bound := r.Book.Secret()
		if !bound || mark != [ledger.TagBytes]byte{9, 9} || r.Book.Values() != 1 || !r.Book.Remembers([ledger.TagBytes]byte{1, 2, 3}) {
			t.Fatalf("round %d: bound to %x, %d values", round, mark, r.Book.Values())
		}
		if err := r.Book.BindSecret(mark); err != nil {
			t.Errorf("the same again: %v", err)
		}
		for _, other := range [][ledger.TagBytes]byte{{9, 8}, {}} {
			if err := r.Book.BindSecret(other); !errors.Is(err, ledger.FaultSecret) {
				t.Errorf("bound to %x: %v", other, err)
			}
		}
		w.compact(limits())
	}
	next, record, err := w.chain.SealSecret([ledger.TagBytes]byte{9, 9})
	if err != nil || next.Length() != w.chain.Length()+1 {
		t.Fatal(err)
	}
	if _, err := ledger.Replay(limits(), owner, append(w.file, record[:]...)); !errors.Is(err, ledger.FaultChain) {
		t.Errorf("bound twice: %v", err)
	}
	if _, _, err := (ledger.Chain{}).SealSecret([ledger.TagBytes]byte{1}); !errors.Is(err, ledger.FaultEmpty) {
		t.Errorf("a secret before the opening: %v", err)
	}
	if _, _, err := w.chain.SealSecret([ledger.TagBytes]byte{}); !errors.Is(err, ledger.FaultRecord) {
		t.Errorf("no secret: %v", err)
	}
}

// Version 3 is a promise as well: the record by itself, and in a checkpoint's block.
func TestGoldenSecret(t *testing.T) {
	w := begin(t, limits())
	want(t, w.bind(7, 7, 7), nil)
	want(t, w.spend(charge("room", 0, one), 1, 2, 3), nil)
	out := hex.EncodeToString(w.file[ledger.RecordBytes:2*ledger.RecordBytes]) + "\n"
	w.compact(limits())
	for file := w.file; len(file) > 0; file = file[ledger.RecordBytes:] {
		out += hex.EncodeToString(file[:ledger.RecordBytes]) + "\n"
	}
	vectors.File(t, "testdata/records-v3.txt", out)
	text, err := os.ReadFile("testdata/records-v3.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "\n")
	golden, err := hex.DecodeString(strings.ReplaceAll(block, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ledger.Replay(limits(), owner, golden)
	if err != nil {
		t.Fatal(err)
	}
	if mark, bound := r.Book.Secret(); !bound || mark != [ledger.TagBytes]byte{7, 7, 7} || r.Book.Values() != 1 {
		t.Errorf("golden secret: %x, %d values", mark, r.Book.Values())
	}
}
