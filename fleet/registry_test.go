package fleet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

var epoch = time.UnixMilli(1_800_000_000_000).UTC()

func newTestRegistry() *Registry { return New(NewKeyer([16]byte{1, 2, 3})) }

func helloOf(id string, attributes ...string) *quadratv1.Hello {
	h := &quadratv1.Hello{
		Device:       id,
		Attributes:   map[string]string{},
		Capabilities: []*quadratv1.Capability{{Name: "sense.temperature"}},
		Limits:       &quadratv1.Limits{EpsilonMicro: 4_000_000, PeriodMs: 3_600_000, Models: []string{"local"}},
	}
	for i := 0; i+1 < len(attributes); i += 2 {
		h.Attributes[attributes[i]] = attributes[i+1]
	}
	return h
}

func mustHello(t *testing.T, r *Registry, h *quadratv1.Hello, at time.Time) {
	t.Helper()
	if err := r.Hello(h, at); err != nil {
		t.Fatal(err)
	}
}

func ids(rows []*Row) []string {
	var out []string
	for _, row := range rows {
		out = append(out, row.ID)
	}
	slices.Sort(out)
	return out
}

func TestKeysAreThePanelHashOfTheSecret(t *testing.T) {
	// SipHash-2-4 of the empty message under the key 00…0f is 726fdb47dd0e0e31 (Aumasson and Bernstein 2012, appendix A).
	var secret [16]byte
	for i := range secret {
		secret[i] = byte(i)
	}
	if got := NewKeyer(secret).Key("").String(); got != "726fdb47dd0e0e31" {
		t.Fatalf("key is %s", got)
	}
	if Partition(Key(64*7+5)) != 5 {
		t.Fatal("partition is not key mod 64")
	}
}

func TestHelloRefusesWhatBreaksItsLaw(t *testing.T) {
	many := map[string]string{}
	for i := range 33 {
		many[fmt.Sprint("a", i)] = "x"
	}
	cases := map[string]struct {
		change func(*quadratv1.Hello)
		code   Code
	}{
		"empty identity":     {func(h *quadratv1.Hello) { h.Device = "" }, Identity},
		"dot in identity":    {func(h *quadratv1.Hello) { h.Device = "a.b" }, Identity},
		"long identity":      {func(h *quadratv1.Hello) { h.Device = strings.Repeat("a", 65) }, Identity},
		"bad gateway":        {func(h *quadratv1.Hello) { h.Gateway = "*" }, Identity},
		"many attributes":    {func(h *quadratv1.Hello) { h.Attributes = many }, Size},
		"long value":         {func(h *quadratv1.Hello) { h.Attributes["a"] = strings.Repeat("x", 129) }, Size},
		"value not UTF-8":    {func(h *quadratv1.Hello) { h.Attributes["a"] = "\xff" }, Text},
		"value with a NUL":   {func(h *quadratv1.Hello) { h.Attributes["a"] = "x\x00y" }, Text},
		"reserved value":     {func(h *quadratv1.Hello) { h.Attributes["a"] = "(missing)" }, Text},
		"empty name":         {func(h *quadratv1.Hello) { h.Attributes[""] = "x" }, Text},
		"capability twice":   {func(h *quadratv1.Hello) { h.Capabilities = append(h.Capabilities, h.Capabilities[0]) }, Text},
		"many capabilities":  {func(h *quadratv1.Hello) { h.Capabilities = make([]*quadratv1.Capability, 33) }, Size},
		"unnamed capability": {func(h *quadratv1.Hello) { h.Capabilities[0] = &quadratv1.Capability{} }, Text},
		"many mechanisms":    {func(h *quadratv1.Hello) { h.Mechanisms = make([]string, 33) }, Size},
		"unnamed mechanism":  {func(h *quadratv1.Hello) { h.Mechanisms = []string{""} }, Text},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newTestRegistry()
			h := helloOf("ok")
			c.change(h)
			err := r.Hello(h, epoch)
			var e *Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Fatalf("got %v, want %s", err, c.code)
			}
			if r.Len() != 0 || r.Version() != 0 {
				t.Fatal("a refused hello left something behind")
			}
		})
	}
}

func TestHelloRefusesAKeyThatAnotherIdentityHas(t *testing.T) {
	r := newTestRegistry()
	mustHello(t, r, helloOf("first"), epoch)
	key := r.keyer.Key("second")
	s := &r.shards[shardOf(key)]
	s.keys, s.entries = []Key{key}, []*entry{{row: &Row{ID: "first"}}} // no pair that collides is known: forge one
	var e *Error
	if err := r.Hello(helloOf("second"), epoch); !errors.As(err, &e) || e.Code != Collision {
		t.Fatalf("got %v", err)
	}
}

func TestRowsBeginAndEndWithWhatTheFrameDependsOn(t *testing.T) {
	r := newTestRegistry()
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	mustHello(t, r, helloOf("d", "region", "asia"), at(0))
	mustHello(t, r, helloOf("d", "region", "asia", "city", ""), at(1))
	if r.Version() != 1 {
		t.Fatal("a hello that changes nothing began a row")
	}
	moved := helloOf("d", "region", "europe")
	mustHello(t, r, moved, at(10))
	gone := helloOf("d", "region", "europe")
	gone.Leaving = true
	mustHello(t, r, gone, at(20))
	mustHello(t, r, gone, at(21))
	if r.Version() != 3 {
		t.Fatalf("version is %d, want 3", r.Version())
	}
	for _, c := range []struct {
		second int
		region string
	}{{-1, ""}, {0, "asia"}, {9, "asia"}, {10, "europe"}, {19, "europe"}, {20, ""}} {
		rows := r.Frame(Query{}, at(c.second))
		got := ""
		if len(rows) == 1 {
			got = rows[0].Attributes["region"]
		}
		if got != c.region || len(rows) > 1 {
			t.Errorf("at %d s: %q, want %q", c.second, got, c.region)
		}
	}
	if _, ok := r.Device("d"); ok {
		t.Error("a device that left is still shown")
	}
}

func TestAFrameOnceToldStaysSo(t *testing.T) {
	r := newTestRegistry()
	mustHello(t, r, helloOf("a", "x", "1"), epoch)
	asked := epoch.Add(time.Minute)
	before := r.Frame(Query{}, asked)
	mustHello(t, r, helloOf("a", "x", "2"), epoch.Add(time.Second)) // heard earlier than the moment asked for
	mustHello(t, r, helloOf("b"), epoch.Add(2*time.Second))
	mustHello(t, r, helloOf("b", "x", "3"), epoch.Add(3*time.Second)) // replaces a row that has not begun
	after := r.Frame(Query{}, asked)
	if len(before) != 1 || len(after) != 1 || before[0].Attributes["x"] != "1" || after[0].Attributes["x"] != "1" {
		t.Fatalf("the frame changed: %v, then %v", ids(before), ids(after))
	}
	next := r.Frame(Query{}, asked.Add(time.Millisecond))
	if len(next) != 2 || !slices.Equal(ids(next), []string{"a", "b"}) {
		t.Fatalf("changes didn't take effect right after: %v", ids(next))
	}
}

func TestFrameAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := newTestRegistry()
	type span struct {
		hello       *quadratv1.Hello
		from, until int64
	}
	var all []span
	open := map[string]int{}
	regions := []string{"", "asia", "europe"}
	for step := range 3000 {
		now := epoch.UnixMilli() + int64(step)
		h := helloOf(fmt.Sprint("d", rng.IntN(60)), "region", regions[rng.IntN(3)])
		if rng.IntN(2) == 0 {
			h.Capabilities[0].Open, h.Limits.Models = true, []string{"none", "local"}
		}
		if rng.IntN(3) == 0 {
			h.Capabilities[0].Readings = []string{"temperature", "humidity"}
		}
		if rng.IntN(3) > 0 {
			h.Mechanisms = []string{"three-output"}
		}
		h.Leaving = rng.IntN(5) == 0
		mustHello(t, r, h, time.UnixMilli(now))
		if i, ok := open[h.Device]; ok {
			all[i].until = now
			delete(open, h.Device)
		}
		if !h.Leaving {
			open[h.Device] = len(all)
			all = append(all, span{hello: h, from: now})
		}
	}
	where := &attr.Predicate{Op: "<>", Attribute: "region", Values: []attr.Literal{{Text: "asia"}}}
	queries := []Query{
		{},
		{Capability: "sense.temperature"},
		{Capability: "sense.co2"},
		{Capability: "sense.temperature", Model: "none"},
		{Capability: "sense.temperature", Model: "local", Mechanisms: []string{"three-output"}},
		{Mechanisms: []string{"three-output", "other"}},
		{Capability: "sense.temperature", Readings: []string{"humidity"}, Where: where, Model: "local"},
		{Readings: []string{"temperature"}, Capability: "sense.temperature", Where: where},
	}
	for _, q := range queries {
		for step := 0; step < 3000; step += 37 {
			ms := epoch.UnixMilli() + int64(step)
			var want []string
			for _, s := range all {
				if s.from <= ms && (s.until == 0 || ms < s.until) && bruteReaches(q, s.hello) {
					want = append(want, s.hello.Device)
				}
			}
			slices.Sort(want)
			rows := r.Frame(q, time.UnixMilli(ms))
			if got := ids(rows); !slices.Equal(got, want) {
				t.Fatalf("%+v at %d: got %v, want %v", q, step, got, want)
			}
			if !slices.IsSortedFunc(rows, func(a, b *Row) int { return strings.Compare(a.Key.String(), b.Key.String()) }) {
				t.Fatal("the frame is not ordered by key")
			}
		}
	}
}

func bruteReaches(q Query, h *quadratv1.Hello) bool {
	c := h.Capabilities[0]
	readings := c.Readings
	if len(readings) == 0 {
		readings = []string{"temperature"}
	}
	ok := !slices.ContainsFunc(q.Mechanisms, func(name string) bool { return !slices.Contains(h.Mechanisms, name) })
	ok = ok && (q.Capability == "" || q.Capability == c.Name)
	for _, want := range q.Readings {
		ok = ok && slices.Contains(readings, want)
	}
	if q.Model == "none" {
		ok = ok && c.Open
	}
	return ok && (q.Model == "" || slices.Contains(h.Limits.Models, q.Model)) && q.Where.Match(h.Attributes)
}

func TestExpireCountsSilenceOnlyWhileListening(t *testing.T) {
	r := newTestRegistry()
	mustHello(t, r, helloOf("a"), epoch)
	mustHello(t, r, helloOf("b"), epoch.Add(time.Hour))
	r.since.Store(epoch.Add(30 * time.Minute).UnixMilli())
	if n := r.Expire(epoch.Add(89*time.Minute), time.Hour); n != 0 {
		t.Fatalf("expired %d before an hour of listening", n)
	}
	if n := r.Expire(epoch.Add(90*time.Minute), time.Hour); n != 1 {
		t.Fatalf("expired %d, want 1", n)
	}
	if n := r.Prune(epoch.Add(90 * time.Minute)); n != 1 || r.Len() != 1 {
		t.Fatalf("pruned %d, left %d", n, r.Len())
	}
	mustHello(t, r, helloOf("a"), epoch.Add(100*time.Minute))
	if r.Len() != 2 {
		t.Fatal("a device that was silent can't come back")
	}
}

func TestPoolForgetsWhatNoRowHolds(t *testing.T) {
	r := newTestRegistry()
	for i := range 100 {
		mustHello(t, r, helloOf("d", "n", fmt.Sprint(i)), epoch.Add(time.Duration(i)*time.Second))
	}
	r.Prune(epoch.Add(time.Hour))
	if len(r.pool.attributes) != 1 || len(r.pool.profiles) != 1 {
		t.Fatalf("%d sets and %d profiles left, want 1 each", len(r.pool.attributes), len(r.pool.profiles))
	}
}

func TestListPagesThroughAllByIdentity(t *testing.T) {
	r := newTestRegistry()
	var want []string
	for i := range 250 {
		id := fmt.Sprintf("d%03d", i)
		mustHello(t, r, helloOf(id, "even", fmt.Sprint(i%2 == 0)), epoch)
		if i%2 == 0 {
			want = append(want, id)
		}
	}
	where := &attr.Predicate{Op: "=", Attribute: "even", Values: []attr.Literal{{Text: "true"}}}
	var got []string
	for after := ""; ; {
		devices, total, next := r.List(where, after, 40)
		if total != len(want) {
			t.Fatalf("total %d, want %d", total, len(want))
		}
		for _, d := range devices {
			got = append(got, d.GetId())
		}
		if next == "" {
			break
		}
		after = next
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
}

func TestReadingsAndCapabilitiesForHints(t *testing.T) {
	r := newTestRegistry()
	h := helloOf("a")
	h.Capabilities = append(h.Capabilities, &quadratv1.Capability{Name: "sense.air", Readings: []string{"pm10", "no2"}})
	mustHello(t, r, h, epoch)
	if got := r.Capabilities(); !slices.Equal(got, []string{"sense.air", "sense.temperature"}) {
		t.Fatal(got)
	}
	if got := r.Readings("sense.temperature"); !slices.Equal(got, []string{"temperature"}) {
		t.Fatal(got)
	}
	if got := r.Readings("sense.air"); !slices.Equal(got, []string{"no2", "pm10"}) {
		t.Fatal(got)
	}
}
