package ledger_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// secretOf asks for the secret of a ledger that is opened for it.
func secretOf(t *testing.T, c ledger.Config) ([privacy.SecretBytes]byte, error) {
	t.Helper()
	l := open(t, c)
	defer func() { _ = l.Close() }()
	secret, err := l.Secret()
	if err != nil {
		return [privacy.SecretBytes]byte{}, err
	}
	return *secret, nil
}

// The secret is made once and is the same after every restart and compaction; its file is the owner's alone; another device's ledger
// has another one.
func TestSecretStays(t *testing.T) {
	dir := t.TempDir()
	c := config(disk.OS(dir), "pi-7")
	c.CompactRecords = 3
	first, err := secretOf(t, c)
	if err != nil || first == [privacy.SecretBytes]byte{} {
		t.Fatalf("%v", err)
	}
	info, err := os.Stat(dir + "/" + ledger.SecretName)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 60 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	l := open(t, c)
	for i := range 8 {
		if _, err := l.Secret(); err != nil {
			t.Fatal(err)
		}
		if err := l.ReserveValue(charge(40*i), [law.TagBytes]byte{1, byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	if again, err := secretOf(t, c); err != nil || again != first {
		t.Errorf("after a restart another secret: %v", err)
	}
	if other, err := secretOf(t, config(disktest.New(1), "pi-8")); err != nil || other == first {
		t.Errorf("two devices have one secret: %v", err)
	}
}

// A mark without its secret, and a value without a mark, are faults; a file without a mark was never used and is replaced.
func TestSecretThatIsNotTheLedgers(t *testing.T) {
	m := disktest.New(1)
	c := config(m, "pi-7")
	if _, err := secretOf(t, c); err != nil {
		t.Fatal(err)
	}
	whole := m.Bytes(ledger.SecretName)
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x10
		m.Put(ledger.SecretName, bad)
		if _, err := secretOf(t, c); !errors.Is(err, ledger.FaultSecret) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	another := bytes.Clone(whole) // whole, of the same owner, and not the one
	another[40] ^= 1
	binary.LittleEndian.PutUint32(another[56:], crc32.Checksum(another[:56], crc32.MakeTable(crc32.Castagnoli)))
	m.Put(ledger.SecretName, another)
	if _, err := secretOf(t, c); !errors.Is(err, ledger.FaultSecret) {
		t.Errorf("another secret: %v", err)
	}
	if err := m.Remove(ledger.SecretName); err != nil {
		t.Fatal(err)
	}
	if _, err := secretOf(t, c); !errors.Is(err, ledger.FaultSecret) {
		t.Errorf("removed: %v", err)
	}
	if account, err := ledger.Inspect(c); err != nil || !account.SecretLost {
		t.Errorf("%+v, %v", account, err)
	}
	m.Put(ledger.SecretName, whole)
	if account, err := ledger.Inspect(c); err != nil || account.SecretLost {
		t.Errorf("put back: %+v, %v", account, err)
	}

	fresh := disktest.New(1)
	fresh.Put(ledger.SecretName, whole)
	if s, err := secretOf(t, config(fresh, "pi-7")); err != nil || bytes.Equal(fresh.Bytes(ledger.SecretName), whole) || s == [privacy.SecretBytes]byte(whole[24:56]) {
		t.Errorf("another ledger's secret was taken: %v", err)
	}
	unbound := open(t, config(disktest.New(1), "pi-7"))
	if err := unbound.ReserveValue(charge(0), [law.TagBytes]byte{1}); !errors.Is(err, ledger.FaultSecret) || unbound.Book().Values() != 0 {
		t.Errorf("a value before there is a secret: %v", err)
	}
	none := config(disktest.New(1), "pi-7")
	l := open(t, none)
	_ = l.Close()
	if _, err := l.Secret(); !errors.Is(err, ledger.FaultStopped) {
		t.Errorf("of a closed ledger: %v", err)
	}
	if account, err := ledger.Inspect(none); err != nil || account.SecretLost {
		t.Errorf("a ledger that needs none: %+v, %v", account, err)
	}
}

// A value is charged once, whatever restarts and compactions lie between.
func TestValuesAreRememberedAfterARestart(t *testing.T) {
	c := config(disktest.New(1), "pi-7")
	c.CompactRecords = 4
	for i := range 12 {
		l := open(t, c)
		if _, err := l.Secret(); err != nil {
			t.Fatal(err)
		}
		for at, value := range []byte{1, byte(i/4 + 2)} {
			if err := l.ReserveValue(charge(60*i+30*at), [law.TagBytes]byte{value}); err != nil {
				t.Fatalf("round %d, value %d: %v", i, value, err)
			}
		}
		if spent := l.Book().Spent(); spent.Reports != uint64(i/4+2) || l.Book().Values() != i/4+2 {
			t.Fatalf("round %d: %d charges for %d values", i, spent.Reports, l.Book().Values())
		}
		_ = l.Close()
	}
}

// A source of randomness that gives nothing makes no secret.
func TestSecretNeedsEntropy(t *testing.T) {
	m := disktest.New(1)
	c := config(m, "pi-7")
	c.Random = bytes.NewReader(make([]byte, 12)) // the owner's identity takes all of it
	if _, err := secretOf(t, c); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("%v", err)
	}
	if m.Bytes(ledger.SecretName) != nil {
		t.Error("a file was written")
	}
	c.Random = rand.Reader
	if _, err := secretOf(t, c); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Version 1 of the file is a promise.
func TestSecretVersion1(t *testing.T) {
	m := disktest.New(1)
	c := config(m, "pi-7")
	c.Random = bytes.NewReader(append(make([]byte, 12), bytes.Repeat([]byte{42}, privacy.SecretBytes)...))
	if s, err := secretOf(t, c); err != nil || s[0] != 42 {
		t.Fatalf("%v", err)
	}
	if got := m.Bytes(ledger.SecretName); !bytes.Equal(got, golden(t, "secret-v1.hex")) {
		t.Errorf("writes\n%s", hex.EncodeToString(got))
	}
}

func FuzzSecret(f *testing.F) {
	m := disktest.New(1)
	c := config(m, "pi-7")
	l, err := ledger.Open(c, begin)
	if err != nil {
		f.Fatal(err)
	}
	secret, err := l.Secret()
	if err != nil {
		f.Fatal(err)
	}
	_ = l.Close()
	whole, log, anchor := m.Bytes(ledger.SecretName), m.Bytes(ledger.LogName), m.Bytes(ledger.AnchorName)
	f.Add(whole)
	f.Add(whole[:59])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := disktest.New(1)
		m.Put(ledger.LogName, log)
		m.Put(ledger.AnchorName, anchor)
		m.Put(ledger.SecretName, b)
		got, err := secretOf(t, config(m, "pi-7"))
		if bytes.Equal(b, whole) != (err == nil) || err == nil && got != *secret || err != nil && !errors.Is(err, ledger.FaultSecret) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
