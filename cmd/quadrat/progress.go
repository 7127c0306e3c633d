package main

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

const (
	progressAfter = 2 * time.Second
	progressEvery = 200 * time.Millisecond
	progressWidth = 24
)

// progress shows a moving bar for work without a known end, once it takes over two seconds, and only on a terminal. The
// caller calls what it returns when the work is done.
func (t *terminal) progress(what string) (stop func()) { return t.progressWith(what, nil) }

// progressOf also shows how many bytes have come.
func (t *terminal) progressOf(what string, bytes *atomic.Int64) (stop func()) {
	return t.progressWith(what, func() string { return fmt.Sprintf("%.1f MB", float64(bytes.Load())/1e6) })
}

// progressWith also shows what more says, which another goroutine asks; nil for nothing.
func (t *terminal) progressWith(what string, more func() string) (stop func()) {
	if !t.interactive {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t.animate(what, more, quit)
	}()
	return func() {
		close(quit)
		<-done
	}
}

func (t *terminal) animate(what string, more func() string, quit <-chan struct{}) {
	wait := time.NewTimer(progressAfter)
	defer wait.Stop()
	for step := 0; ; step++ {
		select {
		case <-quit:
			if step > 0 {
				fmt.Fprint(t.errs, "\r\x1b[K")
			}
			return
		case <-wait.C:
		}
		at := step % progressWidth
		bar := strings.Repeat(" ", at) + "=" + strings.Repeat(" ", progressWidth-at-1)
		line := fmt.Sprintf("\r\x1b[K%s [%s]", what, bar)
		if more != nil {
			line += " " + more()
		}
		fmt.Fprint(t.errs, line)
		wait.Reset(progressEvery)
	}
}

// counting counts what is read through it.
type counting struct {
	io.Reader

	bytes *atomic.Int64
}

// Read passes on and counts.
func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}
