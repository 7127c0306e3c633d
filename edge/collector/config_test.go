package collector

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/edge/spool"
	"github.com/quadrat-dev/quadrat/privacy"
)

func TestExampleParses(t *testing.T) {
	b, err := os.ReadFile("testdata/edge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(b, "/etc/quadrat")
	if err != nil {
		t.Fatal(err)
	}
	l := c.Policy.Limits
	if l.PerPeriod != 1_000_000 || l.Period != 24*time.Hour || l.Lifetime != 365_000_000 {
		t.Errorf("%+v", l)
	}
	if len(c.Sensors) != 3 || c.Sensors[1].Reading != "temperature" || c.Sensors[2].Reading != "humidity" ||
		c.Sensors[0].Interval != 10*time.Second || c.SpoolBytes != 16<<20 || c.SpoolDrop != spool.DropOldest {
		t.Errorf("%+v", c)
	}
	if len(c.Capabilities) != 2 || strings.Join(c.Capabilities[0].Readings, " ") != "temperature humidity" || c.Capabilities[0].Open {
		t.Errorf("%+v", c.Capabilities)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := Parse([]byte(`
device: a.b
interval: 0s
spool: {bytes: 1KiB, drop: some}
sensors:
  - {capability: sense.x, source: csv, file: f, column: y}
  - {capability: sense.x, source: thermal, zone: z, timeout: -1s}
  - {source: radio}
policy: {models: [trust], capabilities: [sense.y], open: [sense.z], epsilon: 0, per: never, lifetime: lots}
`), "/")
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range faults {
		paths = append(paths, f.Path)
	}
	want := "server device data spool.bytes spool.drop interval sensors[1].timeout sensors[1] sensors[1].timeout " +
		"sensors[2].capability sensors[2].source policy.models[0] policy.epsilon policy.per policy.lifetime " +
		"policy.capabilities[0] policy.open[0]"
	want = strings.Replace(want, "sensors[1] sensors[1].timeout ", "sensors[1] ", 1)
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestUnknownFieldsAreFaults(t *testing.T) {
	_, err := Parse([]byte("devise: a\nsensors: 3\n"), "/")
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 || strings.Contains(err.Error(), "collector.") {
		t.Error(err)
	}
	// The file may have any name, so that a fault tells only where in it.
	if want := (Fault{"line 1", "field devise not found"}); len(faults) == 0 || faults[0] != want {
		t.Errorf("%q, want %q", faults, want)
	}
	if _, err := Parse([]byte("device: [\n"), "/"); !errors.As(err, &faults) || !strings.HasPrefix(faults[0].Path, "line ") {
		t.Errorf("%q", faults)
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{"1d": day, "90s": 90 * time.Second, "1h30m": 90 * minute, "0d": 0} {
		if d, ok := parseDuration(text); !ok || d != want {
			t.Errorf("%s is %v", text, d)
		}
	}
	for _, text := range []string{"", "d", "1", "-1d", "1.5d", "99999999999d", "106752d"} {
		if d, ok := parseDuration(text); ok {
			t.Errorf("%s is %v", text, d)
		}
	}
	for d, want := range map[time.Duration]string{
		day: "day", 7 * day: "7 days", time.Hour: "hour", 90 * minute: "1h30m", 10 * minute: "10m", 2 * time.Hour: "2h", 30 * time.Second: "30s",
	} {
		if got := words(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	for text, want := range map[string]int64{"65536": 65536, "64KiB": 65536, "16 MiB": 16 << 20, "1GiB": 1 << 30} {
		if n, ok := parseBytes(text); !ok || n != want {
			t.Errorf("%s is %d", text, n)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "9999999999GiB", "1KB"} {
		if n, ok := parseBytes(text); ok {
			t.Errorf("%s is %d", text, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	b, err := os.ReadFile("testdata/edge.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b, "/")
		if err == nil && (c.Policy.Limits.Validate() != nil || c.Policy.Limits.PerPeriod > privacy.MaxBudget || len(c.Capabilities) == 0) {
			t.Errorf("%+v", c)
		}
	})
}
