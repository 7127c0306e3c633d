package spool_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/spool"
)

func open(t *testing.T, folder disk.Folder, policy spool.Policy) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Config{Folder: folder, BytesMax: spool.BytesLeast, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func report(i int) []byte { return fmt.Appendf(nil, "report %050d", i) }

// waiting reads everything that waits, in order.
func waiting(t *testing.T, s *spool.Spool) []string {
	t.Helper()
	var out []string
	for after := uint64(0); ; {
		e, ok, err := s.Next(after)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out
		}
		out, after = append(out, string(e.Bytes)), e.ID
	}
}

func TestOrderAndSettlementSurviveARestart(t *testing.T) {
	folder := disk.OS(t.TempDir())
	s := open(t, folder, spool.DropOldest)
	for i := range 100 {
		if _, err := s.Append(report(i)); err != nil {
			t.Fatal(err)
		}
	}
	for id := uint64(1); id <= 100; id += 2 {
		if err := s.Settle(id, spool.Outcome(2+id%4/3)); err != nil {
			t.Fatal(err)
		}
	}
	want := s.Totals()
	_ = s.Close()
	s = open(t, folder, spool.DropOldest)
	got := waiting(t, s)
	if len(got) != 50 || got[0] != string(report(1)) || got[49] != string(report(99)) {
		t.Fatalf("%d wait: %v", len(got), got)
	}
	if s.Totals() != want || want.Stored+want.Rejected != 50 || want.Rejected == 0 {
		t.Errorf("%+v, want %+v", s.Totals(), want)
	}
	if id, err := s.Append(report(100)); err != nil || id != 101 {
		t.Errorf("%d, %v", id, err)
	}
	_ = s.Close()
}

func TestCapHolds(t *testing.T) {
	for _, policy := range []spool.Policy{spool.DropOldest, spool.DropNewest} {
		m := disktest.New(1)
		s := open(t, m, policy)
		full := 0
		for i := range 3000 {
			if _, err := s.Append(report(i)); errors.Is(err, spool.ErrFull) {
				full++
			} else if err != nil {
				t.Fatal(err)
			}
			if m.Total() > spool.BytesLeast {
				t.Fatalf("%d bytes after %d reports", m.Total(), i)
			}
		}
		got := waiting(t, s)
		lost := s.Totals().Dropped
		if lost == 0 || len(got)+int(lost) != 3000 {
			t.Fatalf("%d wait, %d dropped", len(got), lost)
		}
		if policy == spool.DropOldest && (full > 0 || got[len(got)-1] != string(report(2999))) {
			t.Errorf("the newest isn't there, or %d were refused", full)
		}
		if policy == spool.DropNewest && (full != int(lost) || got[0] != string(report(0))) {
			t.Errorf("the oldest isn't there, or %d were refused", full)
		}
		for e, ok, _ := s.Next(0); ok; e, ok, _ = s.Next(0) {
			if err := s.Settle(e.ID, spool.Stored); err != nil {
				t.Fatal(err)
			}
		}
		if m.Total() > spool.BytesLeast/8 {
			t.Errorf("an empty spool takes %d bytes", m.Total())
		}
		m.Crash()
		if got := open(t, m, policy).Totals(); got.Dropped != lost {
			t.Errorf("%d dropped after a restart, %d before", got.Dropped, lost)
		}
	}
}

func TestFullDisk(t *testing.T) {
	m := disktest.New(1)
	s := open(t, m, spool.DropNewest)
	if _, err := s.Append(report(0)); err != nil {
		t.Fatal(err)
	}
	m.Space(m.Total()+20, syscall.ENOSPC)
	if _, err := s.Append(report(1)); !errors.Is(err, spool.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	m.Heal()
	if _, err := s.Append(report(2)); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	got := waiting(t, open(t, m, spool.DropNewest))
	if len(got) != 2 || got[1] != string(report(2)) {
		t.Errorf("%v", got)
	}
}

// A full disk takes the oldest reports, a failing one takes none.
func TestOldestMakesRoom(t *testing.T) {
	m := disktest.New(1)
	s := open(t, m, spool.DropOldest)
	for i := range 200 {
		if _, err := s.Append(report(i)); err != nil {
			t.Fatal(err)
		}
	}
	m.FailAfter(0, syscall.EIO)
	if _, err := s.Append(report(200)); err == nil || s.Totals().Dropped != 1 {
		t.Fatalf("%v, %+v", err, s.Totals())
	}
	m.Heal()
	m.Space(m.Total(), syscall.ENOSPC)
	if _, err := s.Append(report(201)); err != nil {
		t.Fatal(err)
	}
	got := waiting(t, s)
	if got[0] == string(report(0)) || got[len(got)-1] != string(report(201)) {
		t.Error("the oldest is still there, or the newest isn't")
	}
}

// Whatever fails, and wherever the power goes: a report that was taken in is given back, in order and unchanged, until
// it is settled.
func TestPowerCuts(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		m := disktest.New(seed)
		alive := map[string]bool{}
		next := 0
		for range 10 {
			m.FailAfter(r.IntN(40), syscall.EIO)
			s, err := spool.Open(spool.Config{Folder: m, BytesMax: 1 << 20, Policy: spool.DropNewest})
			for i := 0; err == nil && i < 60; i++ {
				if r.IntN(3) > 0 {
					next++
					if _, failed := s.Append(report(next)); failed == nil {
						alive[string(report(next))] = true
					}
					continue
				}
				if e, ok, _ := s.Next(0); ok {
					delete(alive, string(e.Bytes))
					err = s.Settle(e.ID, spool.Stored)
				}
			}
			m.Crash()
		}
		m.Heal()
		s, err := spool.Open(spool.Config{Folder: m, BytesMax: 1 << 20, Policy: spool.DropNewest})
		if err != nil {
			t.Fatal(err)
		}
		before := ""
		for _, got := range waiting(t, s) {
			if got <= before {
				t.Fatalf("seed %d: %s after %s", seed, got, before)
			}
			before = got
			delete(alive, got)
		}
		if len(alive) > 0 {
			t.Fatalf("seed %d: %d reports lost", seed, len(alive))
		}
	}
}

func TestDamageIsCountedAndPassedOver(t *testing.T) {
	m := disktest.New(1)
	s := open(t, m, spool.DropOldest)
	for i := range 3 {
		if _, err := s.Append(report(i)); err != nil {
			t.Fatal(err)
		}
	}
	names, _ := m.Names()
	f, _ := m.Open(names[0], false)
	if _, err := f.WriteAt([]byte{'X'}, 60+16+60+16+20); err != nil {
		t.Fatal(err)
	}
	got := waiting(t, s)
	if len(got) != 2 || got[0] != string(report(0)) || s.Totals().Damaged != 1 {
		t.Errorf("%v, %+v", got, s.Totals())
	}
}

func TestRefusals(t *testing.T) {
	if _, err := spool.Open(spool.Config{Folder: disktest.New(1), BytesMax: spool.BytesLeast - 1}); !errors.Is(err, spool.ErrSize) {
		t.Error(err)
	}
	s := open(t, disktest.New(1), spool.DropOldest)
	for _, b := range [][]byte{nil, make([]byte, 1<<16)} {
		if _, err := s.Append(b); !errors.Is(err, spool.ErrSize) {
			t.Error(err)
		}
	}
	if err := s.Settle(77, spool.Stored); err != nil {
		t.Error(err)
	}
	_ = s.Close()
	if _, err := s.Append(report(1)); !errors.Is(err, spool.ErrClosed) {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	m := disktest.New(1)
	s, err := spool.Open(spool.Config{Folder: m, BytesMax: spool.BytesLeast})
	if err != nil {
		f.Fatal(err)
	}
	_, _ = s.Append(report(1))
	_ = s.Settle(1, spool.Stored)
	names, _ := m.Names()
	f.Add(m.Bytes(names[0]))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := disktest.New(1)
		m.Put(names[0], b)
		s, err := spool.Open(spool.Config{Folder: m, BytesMax: spool.BytesLeast})
		if err != nil {
			return
		}
		for e, ok, err := s.Next(0); ok || err != nil; e, ok, err = s.Next(0) {
			if err == nil && s.Settle(e.ID, spool.Stored) != nil {
				t.Fatal("can't settle")
			}
		}
	})
}
