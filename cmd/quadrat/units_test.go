package main

import (
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/memory"
)

func TestPeriod(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "12h": 12 * time.Hour, "0": 0, "1h30m": 90 * time.Minute} {
		var p period
		if err := p.UnmarshalText([]byte(text)); err != nil || time.Duration(p) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(p), err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-3h", "30", "forever", "1.5d"} {
		if err := new(period).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]size{"50GiB": 50 << 30, "1.5KiB": 1536, "7": 7, "0": 0, "2TiB": 2 << 40} {
		var s size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "5GB", "NaN", "9999999999TiB", "0.5", "1e-9KiB"} {
		if err := new(size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestMemorySize(t *testing.T) {
	var told, none memorySize
	if err := told.UnmarshalText([]byte("512MiB")); err != nil || told.bytes() != 512<<20 {
		t.Errorf("512MiB: %d, %v", told.bytes(), err)
	}
	if err := none.UnmarshalText([]byte("0")); err != nil || none.bytes() != 0 {
		t.Errorf("0: %d, %v; want no bound", none.bytes(), err)
	}
	if got := new(memorySize).bytes(); got != memory.Default() {
		t.Errorf("without a word: %d", got)
	}
}
