package ledger_test

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// The log's length depends on the period, not on the device's age, and nothing that was spent is forgotten.
func TestLogIsBounded(t *testing.T) {
	m := disktest.New(5)
	c := config(m, "pi-7")
	c.CompactRecords = 8
	l := open(t, c)
	longest := 0
	for i := range 2000 {
		reserve(t, l, 30*i)
		longest = max(longest, len(m.Bytes(ledger.LogName))/law.RecordBytes)
		if i%97 == 0 {
			_ = l.Close()
			l = open(t, c)
		}
	}
	// Kept are the charges of a period, the longest window and the tolerance, 26 hours: 53 charges.
	if longest > 2*(53+4) {
		t.Errorf("the log grew to %d records", longest)
	}
	_ = l.Close()
	account, err := ledger.Inspect(c)
	if err != nil || account.Book.Spent().Reports != 2000 || !account.Opened.Equal(begin) {
		t.Errorf("%+v, %v", account, err)
	}
	if names, err := m.Names(); err != nil || len(names) != 2 {
		t.Errorf("files %v, %v", names, err)
	}
}

// A log of years that an older version left is compacted by the first charge.
func TestLongHistoryIsCompactedOnce(t *testing.T) {
	m := disktest.New(6)
	c := config(m, "pi-7")
	c.CompactRecords = 1 << 30
	l := open(t, c)
	for i := range 1500 {
		reserve(t, l, 30*i)
	}
	_ = l.Close()
	c.CompactRecords = 0
	l = open(t, c)
	reserve(t, l, 30*1500)
	if n := len(m.Bytes(ledger.LogName)) / law.RecordBytes; n > 60 {
		t.Errorf("%d records are left", n)
	}
	if err := l.Reserve(charge(30 * 1500)); !errors.Is(err, law.AlreadyCharged) {
		t.Error(err)
	}
}

// A disk without room for a second log keeps the first.
func TestNoRoomToCompact(t *testing.T) {
	m := disktest.New(7)
	c := config(m, "pi-7")
	c.CompactRecords = 4
	l := open(t, c)
	reserve(t, l, 0, 30, 60)
	m.Space(m.Total()+3*law.RecordBytes, syscall.ENOSPC)
	reserve(t, l, 90, 120, 150)
	if err := l.Reserve(charge(180)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	m.Heal()
	reserve(t, l, 180)
	_ = l.Close()
	l = open(t, c)
	if got := l.Book().Spent().Reports; got != 7 {
		t.Errorf("%d charges", got)
	}
}

// A log from before a compaction is a rollback; a log from after it with an older anchor is one step ahead at most.
func TestRollbackAcrossCompaction(t *testing.T) {
	m := disktest.New(8)
	c := config(m, "pi-7")
	c.CompactRecords = 4
	l := open(t, c)
	reserve(t, l, 0, 30, 60)
	log, anchor := m.Bytes(ledger.LogName), m.Bytes(ledger.AnchorName)
	reserve(t, l, 90, 120, 150)
	_ = l.Close()
	newer := m.Bytes(ledger.AnchorName)
	m.Put(ledger.AnchorName, anchor)
	if _, err := ledger.Open(c, begin); !errors.Is(err, ledger.FaultAnchor) {
		t.Errorf("old anchor: %v", err)
	}
	m.Put(ledger.AnchorName, newer)
	m.Put(ledger.LogName, log)
	if _, err := ledger.Open(c, begin); !errors.Is(err, ledger.FaultRolledBack) {
		t.Errorf("old log: %v", err)
	}
}

func TestWitnessSeesARestoredFolder(t *testing.T) {
	m, witness := disktest.New(9), disktest.New(10)
	c := config(m, "pi-7")
	c.Witness = witness
	l := open(t, c)
	reserve(t, l, 0)
	log, anchor := m.Bytes(ledger.LogName), m.Bytes(ledger.AnchorName)
	reserve(t, l, 30, 60)
	_ = l.Close()
	m.Put(ledger.LogName, log)
	m.Put(ledger.AnchorName, anchor)
	if _, err := ledger.Open(c, begin); !errors.Is(err, ledger.FaultRolledBack) {
		t.Errorf("both files restored: %v", err)
	}
	if _, err := ledger.Inspect(c); !errors.Is(err, ledger.FaultRolledBack) {
		t.Errorf("both files restored, looked at: %v", err)
	}
	m.Put(ledger.LogName, nil)
	m.Put(ledger.AnchorName, nil)
	if _, err := ledger.Open(c, begin); !errors.Is(err, ledger.FaultMissing) {
		t.Errorf("both files removed: %v", err)
	}
	// A witness that is new, or lost, begins; one that was away for a while catches up.
	m.Put(ledger.LogName, log)
	m.Put(ledger.AnchorName, anchor)
	witness.Put(ledger.AnchorName, nil)
	l = open(t, c)
	old := witness.Bytes(ledger.AnchorName)
	reserve(t, l, 31, 61)
	_ = l.Close()
	witness.Put(ledger.AnchorName, old)
	l = open(t, c)
	if got := l.Book().Spent().Reports; got != 3 {
		t.Errorf("%d charges", got)
	}
}

func TestCopiedCard(t *testing.T) {
	m := disktest.New(11)
	c := config(m, "pi-7")
	c.Machine = "serial 1"
	l := open(t, c)
	reserve(t, l, 0, 30)
	_ = l.Close()
	copied := disktest.New(12)
	copied.Put(ledger.LogName, m.Bytes(ledger.LogName))
	copied.Put(ledger.AnchorName, m.Bytes(ledger.AnchorName))
	there := c
	there.Folder, there.Machine = copied, "serial 2"
	for range 2 {
		if _, err := ledger.Open(there, begin); !errors.Is(err, ledger.FaultMachine) {
			t.Fatalf("the copy: %v", err)
		}
	}
	if _, err := ledger.Inspect(there); !errors.Is(err, ledger.FaultMachine) {
		t.Errorf("the copy, looked at: %v", err)
	}
	there.Machine = ""
	if _, err := ledger.Open(there, begin); !errors.Is(err, ledger.FaultMachine) {
		t.Errorf("a machine without identity: %v", err)
	}
	// The owner says that the first board is gone.
	there.Machine = "serial 2"
	if err := ledger.Adopt(there, begin); err != nil {
		t.Fatal(err)
	}
	l = open(t, there)
	if err := l.Reserve(charge(31)); !errors.Is(err, law.PeriodSpent) {
		t.Errorf("the adopted ledger: %v", err)
	}
	_ = l.Close()
	there.Machine = "serial 1"
	if _, err := ledger.Open(there, begin); !errors.Is(err, ledger.FaultMachine) {
		t.Errorf("back on the first machine: %v", err)
	}
	if err := ledger.Adopt(config(disktest.New(13), "pi-7"), begin); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing to adopt: %v", err)
	}
}

// The power goes at every step of adopting a ledger: afterwards one of the machines has it.
func TestAdoptAtEveryStep(t *testing.T) {
	for step := range 20 {
		m := disktest.New(uint64(step))
		c := config(m, "pi-7")
		c.Machine = "serial 1"
		l := open(t, c)
		reserve(t, l, 0, 30)
		_ = l.Close()
		m.FailAfter(step, syscall.EIO)
		there := c
		there.Machine = "serial 2"
		_ = ledger.Adopt(there, begin)
		m.Crash()
		l, err := ledger.Open(there, begin)
		if errors.Is(err, ledger.FaultMachine) {
			l, err = ledger.Open(c, begin)
		}
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if err := l.Reserve(charge(31)); !errors.Is(err, law.PeriodSpent) {
			t.Errorf("step %d: %v", step, err)
		}
		_ = l.Close()
	}
}
