package wire_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/wire"
)

func TestCheckDevice(t *testing.T) {
	for id, want := range map[string]error{
		"a": nil, "pi-kitchen_07": nil, "A-Z": nil, strings.Repeat("x", 64): nil,
		"": wire.ErrDevice, strings.Repeat("x", 65): wire.ErrDevice, "a.b": wire.ErrDevice, "a b": wire.ErrDevice,
		"a>": wire.ErrDevice, "a*": wire.ErrDevice, "é": wire.ErrDevice, "a\n": wire.ErrDevice, "a/b": wire.ErrDevice,
	} {
		if err := wire.CheckDevice(id); !errors.Is(err, want) {
			t.Errorf("%q gives %v, want %v", id, err, want)
		}
	}
}

// A report of a 16-character device, in any year to come and with the largest code, takes fewer than 64 bytes.
func TestReportSize(t *testing.T) {
	r := wire.Report{
		Device: "0123456789abcdef", Kappa: "k7f3q2", Revision: 1 << 20, Window: 4102444800000 / 100, Statistic: 15,
		Value: 1 << 32,
	}
	if n := r.RequestSize(); n >= 64 {
		t.Errorf("%d bytes", n)
	}
}

func TestReportEncodesWithoutAllocation(t *testing.T) {
	r := wire.Report{Device: strings.Repeat("d", 64), Kappa: strings.Repeat("k", 64), Revision: 1, Window: 1, Value: -1 << 63}
	buf := make([]byte, 0, wire.RequestMost)
	if n := testing.AllocsPerRun(100, func() { buf = r.AppendRequest(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReportRefused(t *testing.T) {
	good := wire.Report{Device: "d", Kappa: "k", Revision: 1, Window: 1}
	for name, change := range map[string]func(*wire.Report){
		"no device":       func(r *wire.Report) { r.Device = "" },
		"long device":     func(r *wire.Report) { r.Device = strings.Repeat("x", 65) },
		"dot in device":   func(r *wire.Report) { r.Device = "a.b" },
		"no kappa":        func(r *wire.Report) { r.Kappa = "" },
		"no revision":     func(r *wire.Report) { r.Revision = 0 },
		"negative window": func(r *wire.Report) { r.Window = -1 },
	} {
		r := good
		change(&r)
		if _, err := wire.DecodeRequest(r.AppendRequest(nil)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := wire.DecodeRequest(nil); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := wire.DecodeRequest(make([]byte, wire.RequestMost+1)); !errors.Is(err, wire.ErrSize) {
		t.Errorf("too long: %v", err)
	}
}

func TestPlanLaw(t *testing.T) {
	good := func() *wire.DevicePlan {
		return &wire.DevicePlan{
			Ref: "k", Revision: 1, WindowMs: 1000, Salt: make([]byte, 16), Capability: "sense.temperature", LapWindows: 2,
			StratifiedBy: []string{"region"}, Statistics: make([]wire.StatisticPlan, 2),
			Strata: []wire.StratumPlan{{Members: [][]string{{""}}, Last: []uint64{1, 1, 2, 3}}},
		}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*wire.DevicePlan){
		"ref":          func(p *wire.DevicePlan) { p.Ref = "a.b" },
		"revision":     func(p *wire.DevicePlan) { p.Revision = 0 },
		"from":         func(p *wire.DevicePlan) { p.FromWindow = -1 },
		"window":       func(p *wire.DevicePlan) { p.WindowMs = 99 },
		"long window":  func(p *wire.DevicePlan) { p.WindowMs = 1 << 63 },
		"salt":         func(p *wire.DevicePlan) { p.Salt = nil },
		"capability":   func(p *wire.DevicePlan) { p.Capability = "" },
		"lap":          func(p *wire.DevicePlan) { p.LapWindows = 0 },
		"lap overflow": func(p *wire.DevicePlan) { p.LapWindows = 1 << 31 },
		"statistics":   func(p *wire.DevicePlan) { p.Statistics = nil },
		"arcs":         func(p *wire.DevicePlan) { p.Strata[0].Last = p.Strata[0].Last[:3] },
		"order":        func(p *wire.DevicePlan) { p.Strata[0].Last[0] = 9 },
		"member":       func(p *wire.DevicePlan) { p.Strata[0].Members[0] = nil },
	} {
		p := good()
		change(p)
		if err := p.Validate(); !errors.Is(err, wire.ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHelloLaw(t *testing.T) {
	many := make([]wire.Capability, 33)
	for i := range many {
		many[i].Name = "x"
	}
	for name, h := range map[string]wire.Hello{
		"identity":     {Device: "a b"},
		"gateway":      {Device: "a", Gateway: "a b"},
		"attribute":    {Device: "a", Attributes: map[string]string{"": "x"}},
		"capability":   {Device: "a", Capabilities: []wire.Capability{{}}},
		"reading":      {Device: "a", Capabilities: []wire.Capability{{Name: "x", Readings: []string{""}}}},
		"capabilities": {Device: "a", Capabilities: many},
	} {
		if h.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good := wire.Hello{Device: "a", Capabilities: many[:32]}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

// stable feeds a decoder hostile bytes: it must not panic, and what it accepts must survive its own encoding.
func stable[T any](f *testing.F, seed []byte, decode func([]byte) (T, error), encode func(T) []byte) {
	f.Add(seed)
	f.Add([]byte{})
	f.Add(seed[:len(seed)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(encode(v))
		if err != nil {
			t.Fatalf("own encoding refused: %v", err)
		}
		if once := encode(v); !reflect.DeepEqual(once, encode(again)) {
			t.Fatalf("%+v became %+v", v, again)
		}
	})
}

func FuzzRequest(f *testing.F) {
	r := wire.Report{Device: "pi", Kappa: "k", Revision: 1, Window: 9, Statistic: 1, Value: -3}
	stable(f, r.AppendRequest(nil), wire.DecodeRequest, func(r wire.Report) []byte { return r.AppendRequest(nil) })
}

func FuzzReport(f *testing.F) {
	r := wire.Report{Device: "pi", Kappa: "k", Revision: 1, Window: 9, Statistic: 1, Value: -3}
	stable(f, r.Append(nil), wire.DecodeReport, func(r wire.Report) []byte { return r.Append(nil) })
}

func FuzzIntakeReply(f *testing.F) {
	r := wire.IntakeReply{Status: wire.Retry, Reason: "full"}
	stable(f, r.Append(nil), wire.DecodeIntakeReply, func(r wire.IntakeReply) []byte { return r.Append(nil) })
}

func FuzzHello(f *testing.F) {
	h := wire.Hello{Device: "pi", Attributes: map[string]string{"a": "b"}, Capabilities: []wire.Capability{{Name: "x"}}}
	stable(f, h.Append(nil), wire.DecodeHello, func(h wire.Hello) []byte { return h.Append(nil) })
}

func FuzzHelloReply(f *testing.F) {
	p, _ := plan(rand.New(rand.NewPCG(5, 1)))
	r := wire.HelloReply{Plans: []*wire.DevicePlan{p}, Live: []string{"k"}}
	stable(f, r.Append(nil), wire.DecodeHelloReply, func(r wire.HelloReply) []byte { return r.Append(nil) })
}

func FuzzDevicePlan(f *testing.F) {
	p, _ := plan(rand.New(rand.NewPCG(6, 1)))
	stable(f, p.Append(nil), wire.DecodeDevicePlan, func(p *wire.DevicePlan) []byte {
		_ = p.Validate()
		return p.Append(nil)
	})
}

func FuzzPlanBroadcast(f *testing.F) {
	p, _ := plan(rand.New(rand.NewPCG(7, 1)))
	b := wire.PlanBroadcast{Plan: p, PlanSetVersion: 3}
	stable(f, b.Append(nil), wire.DecodePlanBroadcast, func(b wire.PlanBroadcast) []byte { return b.Append(nil) })
}
