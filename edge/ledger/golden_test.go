package ledger_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Version 1 of the anchor is a promise: this version writes these bytes, and every later one reads them.
func TestAnchorVersion1(t *testing.T) {
	text, err := os.ReadFile("testdata/anchor-v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	m := disktest.New(1)
	c := config(m, "pi-7")
	c.Random = bytes.NewReader(make([]byte, 64))
	l := open(t, c)
	reserve(t, l, 0, 30)
	_ = l.Close()
	got := m.Bytes(ledger.AnchorName)
	if len(got) != 1024 || !bytes.Equal(append(got[:68:68], got[512:580]...), want) {
		t.Errorf("writes\n%x%x\nwant\n%x", got[:68], got[512:580], want)
	}
	whole := make([]byte, 1024)
	copy(whole, want[:68])
	copy(whole[512:], want[68:])
	m.Put(ledger.AnchorName, whole)
	l = open(t, c)
	if n := l.Book().Spent().Reports; n != 2 || len(m.Bytes(ledger.LogName)) != 3*law.RecordBytes {
		t.Errorf("%d charges", n)
	}
}
