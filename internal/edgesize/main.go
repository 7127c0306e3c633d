// Command edgesize cross-builds quadrat-edge for the boards that it is promised for, static and stripped, and fails when
// one doesn't build or the Pi Zero's is larger than promised. It runs from the repository's root and leaves nothing
// behind.
//
//	go run ./internal/edgesize
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

// sizeMost is the promise for GOARM=6, in bytes.
const sizeMost = 8_000_000

// target is one board.
type target struct {
	name     string
	settings []string
	sizeMost int64 // 0 for no promise
}

var targets = []target{
	{"linux/arm GOARM=6", []string{"GOARCH=arm", "GOARM=6"}, sizeMost},
	{"linux/arm GOARM=7", []string{"GOARCH=arm", "GOARM=7"}, 0},
	{"linux/arm64", []string{"GOARCH=arm64"}, 0},
	{"linux/amd64", []string{"GOARCH=amd64"}, 0},
	{"linux/riscv64", []string{"GOARCH=riscv64"}, 0},
	{"linux/mipsle softfloat", []string{"GOARCH=mipsle", "GOMIPS=softfloat"}, 0},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "edgesize:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "edgesize")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, t := range targets {
		size, err := t.build(ctx, filepath.Join(dir, "quadrat-edge"))
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		fmt.Printf("%-24s %9d bytes\n", t.name, size)
		if t.sizeMost > 0 && size > t.sizeMost {
			return fmt.Errorf("%s: %d bytes, at most %d are promised", t.name, size, t.sizeMost)
		}
	}
	return nil
}

// build makes the program and returns its size in bytes.
func (t target) build(ctx context.Context, out string) (int64, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./cmd/quadrat-edge")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux"), t.settings...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return 0, err
	}
	info, err := os.Stat(out)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
