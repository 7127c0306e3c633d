package ledger_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

var begin = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func config(folder disk.Folder, device string) ledger.Config {
	return ledger.Config{
		Folder: folder, Device: device, Random: rand.Reader,
		Limits: law.Limits{PerPeriod: 2_000_000, Period: time.Hour, Lifetime: privacy.MaxBudget},
	}
}

// charge is one of ε = 1 for the i-th minute.
func charge(i int) law.Charge {
	return law.Charge{
		Kappa: "k7f3q2", WindowStart: begin.Add(time.Duration(i) * time.Minute), Window: time.Minute, Epsilon: 1_000_000,
		PlanPerPeriod: 2_000_000, PlanPeriod: time.Hour,
	}
}

func open(t *testing.T, c ledger.Config) *ledger.File {
	t.Helper()
	l, err := ledger.Open(c, begin)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func reserve(t *testing.T, l *ledger.File, minutes ...int) {
	t.Helper()
	for _, i := range minutes {
		if err := l.Reserve(charge(i)); err != nil {
			t.Fatalf("minute %d: %v", i, err)
		}
	}
}

func TestReopenedLedgerRemembers(t *testing.T) {
	c := config(disk.OS(t.TempDir()), "pi-7")
	l := open(t, c)
	reserve(t, l, 0, 30)
	if _, err := ledger.Open(c, begin); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a second process: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	defer func() { _ = l.Close() }()
	if err := l.Reserve(charge(30)); !errors.Is(err, law.AlreadyCharged) {
		t.Errorf("the same window: %v", err)
	}
	if err := l.Reserve(charge(59)); !errors.Is(err, law.PeriodSpent) {
		t.Errorf("a third report in the hour: %v", err)
	}
	reserve(t, l, 60)
	account, err := ledger.Inspect(c)
	if err != nil || account.Book.Spent().Epsilon != 3_000_000 || !account.Opened.Equal(begin) {
		t.Errorf("%+v, %v", account, err)
	}
}

func TestUntrustedLedgerRefusesAll(t *testing.T) {
	seed := func() *disktest.Memory {
		m := disktest.New(1)
		l := open(t, config(m, "pi-7"))
		reserve(t, l, 0, 30, 60)
		_ = l.Close()
		return m
	}
	other := disktest.New(2)
	o := open(t, config(other, "pi-7"))
	reserve(t, o, 0, 30, 60)
	_ = o.Close()
	for name, c := range map[string]struct {
		harm func(*disktest.Memory)
		want error
	}{
		"rolled back":   {func(m *disktest.Memory) { m.Put(ledger.LogName, m.Bytes(ledger.LogName)[:3*law.RecordBytes]) }, ledger.FaultRolledBack},
		"cut to begin":  {func(m *disktest.Memory) { m.Put(ledger.LogName, m.Bytes(ledger.LogName)[:law.RecordBytes]) }, ledger.FaultRolledBack},
		"emptied":       {func(m *disktest.Memory) { m.Put(ledger.LogName, []byte{}) }, ledger.FaultMissing},
		"log removed":   {func(m *disktest.Memory) { m.Put(ledger.LogName, nil) }, ledger.FaultMissing},
		"no anchor":     {func(m *disktest.Memory) { m.Put(ledger.AnchorName, nil) }, ledger.FaultAnchor},
		"anchor zeroed": {func(m *disktest.Memory) { m.Put(ledger.AnchorName, make([]byte, 1024)) }, ledger.FaultAnchor},
		"other log":     {func(m *disktest.Memory) { m.Put(ledger.LogName, other.Bytes(ledger.LogName)) }, ledger.FaultAnchor},
		"other anchor":  {func(m *disktest.Memory) { m.Put(ledger.AnchorName, other.Bytes(ledger.AnchorName)) }, ledger.FaultAnchor},
		"middle gone": {func(m *disktest.Memory) {
			m.Put(ledger.LogName, slices.Delete(m.Bytes(ledger.LogName), law.RecordBytes, 2*law.RecordBytes))
		}, law.FaultChain},
		"bit flipped": {func(m *disktest.Memory) {
			b := m.Bytes(ledger.LogName)
			b[law.RecordBytes+40] ^= 1
			m.Put(ledger.LogName, b)
		}, law.FaultRecord},
	} {
		m := seed()
		c.harm(m)
		if _, err := ledger.Open(config(m, "pi-7"), begin); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := ledger.Inspect(config(m, "pi-7")); err == nil && name != "emptied" {
			t.Errorf("%s: Inspect sees nothing", name)
		}
		m.Crash()
		if _, err := ledger.Open(config(m, "pi-7"), begin); !errors.Is(err, c.want) {
			t.Errorf("%s, second try: %v, want %v", name, err, c.want)
		}
	}
	if _, err := ledger.Open(config(seed(), "pi-8"), begin); !errors.Is(err, ledger.FaultDevice) {
		t.Errorf("another device: %v", err)
	}
}

func TestEveryFlippedByteOfTheLogIsNoticed(t *testing.T) {
	m := disktest.New(1)
	l := open(t, config(m, "pi-7"))
	reserve(t, l, 0, 30)
	_ = l.Close()
	whole := m.Bytes(ledger.LogName)
	for i := range whole {
		b := slices.Clone(whole)
		b[i] ^= 0x55
		m.Put(ledger.LogName, b)
		if f, err := ledger.Open(config(m, "pi-7"), begin); err == nil {
			_ = f.Close()
			t.Fatalf("byte %d changed unnoticed", i)
		}
	}
}

func TestFullDiskRefuses(t *testing.T) {
	m := disktest.New(3)
	l := open(t, config(m, "pi-7"))
	reserve(t, l, 0)
	m.Space(m.Total()+100, syscall.ENOSPC)
	if err := l.Reserve(charge(30)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v", err)
	}
	m.Heal()
	reserve(t, l, 31)
	_ = l.Close()
	l = open(t, config(m, "pi-7"))
	if got := l.Book().Spent().Reports; got != 2 {
		t.Errorf("%d charges, want 2", got)
	}
}

// After a failed sync nobody knows what the disk holds. The charge counts, and the ledger goes on only with what it reads.
func TestFailedSyncIsReadAgain(t *testing.T) {
	m := disktest.New(4)
	l := open(t, config(m, "pi-7"))
	m.FailAfter(1, syscall.EIO)
	for range 3 {
		if err := l.Reserve(charge(0)); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
	}
	m.Heal()
	if err := l.Reserve(charge(0)); !errors.Is(err, law.AlreadyCharged) {
		t.Errorf("a charge that was written: %v", err)
	}
	reserve(t, l, 30)
	if err := l.Reserve(charge(31)); !errors.Is(err, law.PeriodSpent) {
		t.Errorf("after a failed sync: %v", err)
	}
	m.FailOnce(1, syscall.EIO)
	_ = l.Reserve(charge(90))
	m.Put(ledger.LogName, nil)
	m.Put(ledger.AnchorName, nil)
	for range 2 {
		if err := l.Reserve(charge(91)); !errors.Is(err, ledger.FaultStopped) {
			t.Errorf("the files are gone: %v", err)
		}
	}
	_ = l.Close()
	if err := l.Reserve(charge(92)); !errors.Is(err, ledger.FaultStopped) {
		t.Errorf("closed: %v", err)
	}
}

// Whatever fails, and wherever the power goes: a charge that was granted stays, no window is granted twice, and the
// ledger opens again.
func TestPowerCuts(t *testing.T) {
	for seed := range uint64(400) {
		r := mathrand.New(mathrand.NewPCG(seed, 7))
		m := disktest.New(seed)
		granted := map[int]bool{}
		minute := 0
		for range 12 {
			m.FailAfter(r.IntN(14), syscall.EIO)
			l, err := ledger.Open(config(m, "pi-7"), begin)
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for err == nil {
				again := max(0, minute-r.IntN(2)*40)
				if err = l.Reserve(charge(again)); err == nil {
					if granted[again] {
						t.Fatalf("seed %d: minute %d granted twice", seed, again)
					}
					granted[again] = true
				}
				if errors.Is(err, law.AlreadyCharged) || errors.Is(err, law.PeriodSpent) || errors.Is(err, law.ClockBack) {
					err = nil
				}
				minute += 20
			}
			m.Crash()
		}
		m.Heal()
		l := open(t, config(m, "pi-7"))
		for i := range granted {
			if err := l.Reserve(charge(i)); err == nil {
				t.Fatalf("seed %d: minute %d granted again", seed, i)
			}
		}
		if got := int(l.Book().Spent().Reports); got < len(granted) {
			t.Fatalf("seed %d: %d charges on disk, %d granted", seed, got, len(granted))
		}
	}
}

func Example() {
	m := disktest.New(1)
	l, err := ledger.Open(config(m, "pi-7"), begin)
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Reserve(charge(0)), l.Reserve(charge(0)))
	// Output: <nil> ledger: window already charged
}

func FuzzAnchor(f *testing.F) {
	m := disktest.New(1)
	l, err := ledger.Open(config(m, "pi-7"), begin)
	if err != nil {
		f.Fatal(err)
	}
	if err := l.Reserve(charge(0)); err != nil {
		f.Fatal(err)
	}
	_ = l.Close()
	log, anchor := m.Bytes(ledger.LogName), m.Bytes(ledger.AnchorName)
	f.Add(anchor)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := disktest.New(1)
		m.Put(ledger.LogName, log)
		m.Put(ledger.AnchorName, b)
		if l, err := ledger.Open(config(m, "pi-7"), begin); err == nil {
			if l.Reserve(charge(0)) == nil {
				t.Fatal("a window is granted twice")
			}
			_ = l.Close()
		}
	})
}
