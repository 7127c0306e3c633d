package ledger_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// golden returns what a file of testdata holds.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Version 2 of the anchor is a promise: this version writes these bytes, and every later one reads them.
func TestAnchorVersion2(t *testing.T) {
	want := golden(t, "anchor-v2.hex")
	m := disktest.New(1)
	c := config(m, "pi-7")
	c.Random, c.Machine = bytes.NewReader(make([]byte, 64)), "serial 10000000c0ffee"
	l := open(t, c)
	reserve(t, l, 0, 30)
	_ = l.Close()
	if got := m.Bytes(ledger.AnchorName); len(got) != 1024 || !bytes.Equal(append(got[:84:84], got[512:596]...), want) {
		t.Errorf("writes\n%x%x\nwant\n%x", got[:84], got[512:596], want)
	}
}

// Version 1 is read, and replaced by version 2 on the way.
func TestAnchorVersion1(t *testing.T) {
	want := golden(t, "anchor-v1.hex")
	m := disktest.New(1)
	c := config(m, "pi-7")
	c.Random = bytes.NewReader(make([]byte, 64))
	l := open(t, c)
	reserve(t, l, 0, 30)
	_ = l.Close()
	whole := make([]byte, 1024)
	copy(whole, want[:68])
	copy(whole[512:], want[68:])
	m.Put(ledger.AnchorName, whole)
	c.Machine = "serial 1"
	l = open(t, c)
	if n := l.Book().Spent().Reports; n != 2 || len(m.Bytes(ledger.LogName)) != 3*law.RecordBytes {
		t.Errorf("%d charges", n)
	}
	_ = l.Close()
	c.Machine = "serial 2"
	if _, err := ledger.Open(c, begin); !errors.Is(err, ledger.FaultMachine) {
		t.Errorf("an old ledger isn't bound to the machine that opens it first: %v", err)
	}
}
