package sensor

import (
	"bytes"
	"context"
	"math/big"
	"os/exec"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

const (
	timeoutDefault = 10 * time.Second
	// outputMost bounds what is kept of a command's output.
	outputMost = 64 << 10
)

type command struct {
	argv    []string
	timeout time.Duration
	scale   *big.Rat
}

func newCommand(s Spec, scale *big.Rat) *command {
	c := &command{argv: s.Argv, timeout: s.Timeout, scale: scale}
	if c.timeout == 0 {
		c.timeout = timeoutDefault
	}
	return c
}

// Read runs the command without a shell and takes the first number of its standard output.
func (c *command) Read(ctx context.Context, _ time.Time) (privacy.Micro, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.WaitDelay = time.Second
	var out capped
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return 0, ErrCommand
	}
	text := firstNumber(out.String())
	if text == "" {
		return 0, ErrNumber
	}
	return scaled(text, c.scale)
}

// capped keeps the beginning of what is written.
type capped struct{ bytes.Buffer }

func (c *capped) Write(b []byte) (int, error) {
	if room := outputMost - c.Len(); room > 0 {
		c.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}
