package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// block is the release of the golden bytes.
func block() wire.Release {
	return wire.Release{
		Gateway: "block-12", Kappa: "k7f3q2", Revision: 3, Window: 29_712_345, Statistic: 1, Parts: []wire.ReleasePart{
			{Device: "block-12-flat-1", Units: 7, Values: []int64{-3, 0, math.MaxInt64}},
			{Device: "block-12-flat-2", Units: 1 << 20, Values: []int64{12, math.MinInt64, 5}},
		},
	}
}

// The bytes of version 1 stay what they were.
func TestReleaseGolden(t *testing.T) {
	golden, err := os.ReadFile("testdata/release-v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(string(bytes.TrimSpace(golden)))
	if err != nil {
		t.Fatal(err)
	}
	r := block()
	if got := r.AppendRequest(nil); !bytes.Equal(got, want) {
		t.Errorf("%x", got)
	}
	got, err := wire.DecodeReleaseRequest(want)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReleaseAgainstGenerated(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 1))
	for range rounds {
		a := wire.Release{
			Gateway: identity(r), Kappa: identity(r), Revision: 1 + r.Uint32N(1<<31), Window: r.Int64(),
			Statistic: r.Uint32() >> r.IntN(32),
		}
		devices := []string{identity(r), identity(r), identity(r)}
		slices.Sort(devices)
		p := &quadratv1.GatewayRelease{
			Gateway: a.Gateway, Kappa: a.Kappa, Revision: a.Revision, Window: a.Window, Statistic: a.Statistic,
		}
		n := 1 + r.IntN(5)
		for _, d := range slices.Compact(devices) {
			part := wire.ReleasePart{Device: d, Units: 1 + r.Uint32()>>(1+r.IntN(31))}
			for range n {
				part.Values = append(part.Values, int64(r.Uint64())>>r.IntN(64))
			}
			a.Parts = append(a.Parts, part)
			p.Parts = append(p.Parts, &quadratv1.ReleasePart{Device: d, Units: part.Units, Values: part.Values})
		}
		both(t, a.Append(nil), p, &quadratv1.GatewayRelease{}, a, wire.DecodeRelease)
		request := &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Release{Release: p}}
		b := a.AppendRequest(nil)
		both(t, b, request, &quadratv1.IntakeRequest{}, a, wire.DecodeReleaseRequest)
		if len(b) > a.SizeMost() || !wire.IsRelease(b) {
			t.Fatalf("%d bytes, at most %d expected", len(b), a.SizeMost())
		}
		if _, err := wire.DecodeRequest(b); err == nil {
			t.Fatal("read as a report")
		}
	}
}

// The bound holds for the longest numbers.
func TestReleaseSizeMost(t *testing.T) {
	r := wire.Release{
		Gateway: strings.Repeat("g", 64), Kappa: strings.Repeat("k", 64), Revision: math.MaxUint32, Window: math.MaxInt64,
		Statistic: math.MaxUint32,
	}
	for i := range 40 {
		part := wire.ReleasePart{Device: strings.Repeat(string(rune('A'+i)), 64), Units: math.MaxUint32}
		for range 64 {
			part.Values = append(part.Values, math.MinInt64)
		}
		r.Parts = append(r.Parts, part)
		if n := len(r.AppendRequest(nil)); n > r.SizeMost() || n < r.SizeMost()*9/10 {
			t.Errorf("%d parts: %d bytes, SizeMost says %d", i+1, n, r.SizeMost())
		}
	}
}

func TestReleaseRefused(t *testing.T) {
	for name, change := range map[string]func(*wire.Release){
		"no gateway":       func(r *wire.Release) { r.Gateway = "" },
		"no kappa":         func(r *wire.Release) { r.Kappa = "" },
		"no revision":      func(r *wire.Release) { r.Revision = 0 },
		"negative window":  func(r *wire.Release) { r.Window = -1 },
		"no parts":         func(r *wire.Release) { r.Parts = nil },
		"no units":         func(r *wire.Release) { r.Parts[1].Units = 0 },
		"no values":        func(r *wire.Release) { r.Parts[0].Values, r.Parts[1].Values = nil, nil },
		"fewer values":     func(r *wire.Release) { r.Parts[1].Values = r.Parts[1].Values[:2] },
		"many values":      func(r *wire.Release) { r.Parts[0].Values = make([]int64, wire.ValuesMost+1) },
		"order":            func(r *wire.Release) { r.Parts[0], r.Parts[1] = r.Parts[1], r.Parts[0] },
		"twice":            func(r *wire.Release) { r.Parts[1].Device = r.Parts[0].Device },
		"identity of part": func(r *wire.Release) { r.Parts[1].Device = "z.z" },
	} {
		r := block()
		change(&r)
		if _, err := wire.DecodeReleaseRequest(r.AppendRequest(nil)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	report := wire.Report{Device: "d", Kappa: "k", Revision: 1}
	for name, b := range map[string][]byte{"nothing": nil, "a report": report.AppendRequest(nil)} {
		if _, err := wire.DecodeReleaseRequest(b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wire.DecodeReleaseRequest(make([]byte, wire.ReleaseMost+1)); !errors.Is(err, wire.ErrSize) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzRelease(f *testing.F) {
	r := block()
	stable(f, r.AppendRequest(nil), wire.DecodeReleaseRequest, func(r wire.Release) []byte { return r.AppendRequest(nil) })
}
