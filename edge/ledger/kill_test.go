package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/ledger"
)

// spender names the folder in which a copy of this test program spends until it is killed.
const spender = "LEDGER_TEST_SPENDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(spender); dir != "" {
		spend(dir)
		return
	}
	os.Exit(m.Run())
}

// spend charges minute after minute from the first on, and writes down which ones were granted.
func spend(dir string) {
	l, err := ledger.Open(config(disk.OS(dir), "pi-7"), begin)
	if err != nil {
		fmt.Println("open", err)
		return
	}
	out, err := os.OpenFile(filepath.Join(dir, "granted"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Println("granted", err)
		return
	}
	next := 0
	if newest, ok := l.Book().Newest(); ok {
		next = max(0, int(newest.Sub(begin)/time.Minute)/31-3)
	}
	for ; ; next++ {
		if l.Reserve(charge(next*31)) == nil {
			_, _ = fmt.Fprintln(out, next*31)
		}
	}
}

// A process that is killed at any moment never grants a window that it, or one before it, granted.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(9, 9))
	spent := uint64(0)
	for try := 0; try < 25 || spent == 0 && try < 60; try++ {
		kill(t, dir, time.Duration(5+r.IntN(40)*(1+try/25*20))*time.Millisecond)
		account, err := ledger.Inspect(config(disk.OS(dir), "pi-7"))
		if err != nil {
			if spent > 0 {
				t.Fatal(err)
			}
			continue
		}
		if got := account.Book.Spent().Reports; got < spent {
			t.Fatalf("spent %d, was %d", got, spent)
		}
		spent = account.Book.Spent().Reports
	}
	b, err := os.ReadFile(filepath.Join(dir, "granted"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if seen[line] {
			t.Fatalf("window %s granted twice", strings.TrimSpace(line))
		}
		seen[line] = true
	}
	if uint64(len(seen)) > spent || len(seen) == 0 {
		t.Fatalf("%d windows granted, %d charged", len(seen), spent)
	}
}

// kill runs a spender for a while and kills it.
func kill(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), spender+"="+dir)
	var out bytes.Buffer
	cmd.Stdout = &out
	_ = cmd.Run()
	if out.Len() > 0 {
		t.Fatal(out.String())
	}
}
