package collector

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// parseDuration reads 30s, 5m, 1h30m, and whole days as 1d.
func parseDuration(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > math.MaxInt64/uint64(day) {
			return 0, false
		}
		return time.Duration(n) * day, true
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// words says a duration as a person would.
func words(d time.Duration) string {
	switch {
	case d >= 2*day:
		return strconv.FormatInt(int64((d+day/2)/day), 10) + " days"
	case d == day:
		return "day"
	case d == time.Hour:
		return "hour"
	}
	text := d.Round(time.Second).String()
	text = strings.TrimSuffix(text, "m0s") + suffixIf(text, "m0s", "m")
	return strings.TrimSuffix(text, "h0m") + suffixIf(text, "h0m", "h")
}

func suffixIf(text, suffix, then string) string {
	if strings.HasSuffix(text, suffix) {
		return then
	}
	return ""
}

// parseBytes reads 65536, 64KiB, 16MiB and 1GiB.
func parseBytes(text string) (int64, bool) {
	shift := 0
	for suffix, s := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, shift = rest, s
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, false
	}
	return n << shift, true
}
