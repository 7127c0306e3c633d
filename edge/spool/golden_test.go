package spool_test

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/spool"
)

// Version 1 is a promise: this version writes these bytes, and every later one reads them.
func TestVersion1(t *testing.T) {
	text, err := os.ReadFile("testdata/v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	m := disktest.New(1)
	s := open(t, m, spool.DropOldest)
	for _, r := range []string{"one", "two", "three"} {
		if _, err := s.Append([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Settle(1, spool.Stored)
	_ = s.Settle(3, spool.Rejected)
	const name = "spool-0000000000000001.log"
	if got := m.Bytes(name); hex.EncodeToString(got) != hex.EncodeToString(want) {
		t.Errorf("writes\n%x\nwant\n%x", got, want)
	}
	m = disktest.New(1)
	m.Put(name, want)
	s = open(t, m, spool.DropOldest)
	if got := waiting(t, s); len(got) != 1 || got[0] != "two" {
		t.Errorf("reads %v", got)
	}
}
