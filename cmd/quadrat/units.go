package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/internal/memory"
)

// period is a time to keep something: 12h, 30d. 0 stands for ever.
type period time.Duration

// UnmarshalText reads a period.
func (p *period) UnmarshalText(text []byte) error {
	days, isDays := strings.CutSuffix(string(text), "d")
	if n, err := strconv.ParseUint(days, 10, 16); isDays && err == nil {
		*p = period(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if (err != nil || d < 0) && string(text) != "0" {
		return fmt.Errorf("%q is no period: write 30d or 12h, or 0 for ever", text)
	}
	*p = period(d)
	return nil
}

// size is a number of bytes: 500MiB, 50GiB, or plain.
type size int64

// UnmarshalText reads a size.
func (s *size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), 1.0
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = n, math.Pow(1024, float64(i+1))
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0) || n*unit >= 1<<62 || n > 0 && n*unit < 1 {
		return fmt.Errorf("%q is no size: write 500MiB or 50GiB, or 0 for no bound", text)
	}
	*s = size(n * unit)
	return nil
}

// memorySize is a size that is the machine's share unless something else is said.
type memorySize struct {
	said size
	told bool
}

// UnmarshalText reads a size.
func (m *memorySize) UnmarshalText(text []byte) error {
	m.told = true
	return m.said.UnmarshalText(text)
}

// bytes is the size; 0 for no bound.
func (m *memorySize) bytes() int64 {
	if !m.told {
		return memory.Default()
	}
	return int64(m.said)
}
