package wire

import (
	"math"

	"github.com/quadrat-dev/quadrat/internal/attr"
)

const (
	windowMsLeast = 100
	saltSize      = 16
	// spanMost bounds windows, grace and periods, in milliseconds: about 30,000 years, far from overflow.
	spanMost = 1 << 50
)

// DevicePlan is the message quadrat.v1.DevicePlan. A decoded plan is not changed any more and may be shared.
type DevicePlan struct {
	Ref                string
	Name               string
	Revision           uint32
	PlanSetVersion     uint64
	FromWindow         int64
	WindowMs           uint64
	GraceMs            uint64
	Paused             bool
	Salt               []byte
	Capability         string
	Where              *attr.Predicate // nil for all devices
	StratifiedBy       []string
	Strata             []StratumPlan
	LapWindows         uint32
	Statistics         []StatisticPlan
	Model              string
	EpsilonMicro       uint64
	EpsilonPeriodMicro uint64
	PeriodMs           uint64
	GroupBy            []string
	Confidence         float64
	ClusteredBy        string // empty for a sample of devices
	EpsilonValueMicro  uint64 // of a category; 0 for plans whose reports are charged one by one
}

// StratumPlan is the message quadrat.v1.StratumPlan.
type StratumPlan struct {
	Name    string
	Members [][]string // combinations of values of StratifiedBy; an empty value is a missing one
	Origin  uint64
	Last    []uint64 // inclusive last offset of each arc
}

// StatisticPlan is the message quadrat.v1.StatisticPlan.
type StatisticPlan struct {
	Name           string
	Kind           string // mean, total, proportion, count, ratio, variance
	Reading        string
	Summary        string // avg, last, min, max, sum, count
	Comparison     string // = <> < <= > >= for proportion and count
	ThresholdMicro int64
	Mechanism      string
	LoMicro        int64
	HiMicro        int64
	Categories     uint32 // of a histogram, frequency or quantile
	ShareMicro     uint32 // of a quantile
}

// Validate returns ErrPlan when the plan breaks its law, so that whoever follows it needs no further check of form:
// window of 100 ms or more, revision and lap from 1, a salt of 16 bytes, at least one statistic, in each
// stratum one arc for each window of the lap and statistic, their ends nondecreasing, and each member with one value
// for each attribute.
func (p *DevicePlan) Validate() error {
	ok := token(p.Ref) && p.Revision > 0 && p.FromWindow >= 0 &&
		p.WindowMs >= windowMsLeast && p.WindowMs <= spanMost && p.GraceMs <= spanMost && p.PeriodMs <= spanMost &&
		len(p.Salt) == saltSize && p.Capability != "" && p.LapWindows > 0 && len(p.Statistics) > 0
	if !ok {
		return ErrPlan
	}
	arcs := uint64(p.LapWindows) * uint64(len(p.Statistics))
	for i := range p.Strata {
		if !p.Strata[i].sound(arcs, len(p.StratifiedBy)) {
			return ErrPlan
		}
	}
	return nil
}

func (s *StratumPlan) sound(arcs uint64, attributes int) bool {
	if uint64(len(s.Last)) != arcs {
		return false
	}
	for i := 1; i < len(s.Last); i++ {
		if s.Last[i] < s.Last[i-1] {
			return false
		}
	}
	for _, m := range s.Members {
		if len(m) != attributes {
			return false
		}
	}
	return true
}

// Append encodes the plan behind b.
func (p *DevicePlan) Append(b []byte) []byte {
	b = appendText(b, 1, p.Ref)
	b = appendText(b, 2, p.Name)
	b = appendVarint(b, 3, uint64(p.Revision))
	b = appendVarint(b, 4, p.PlanSetVersion)
	b = appendVarint(b, 5, uint64(p.FromWindow))
	b = appendVarint(b, 6, p.WindowMs)
	b = appendVarint(b, 7, p.GraceMs)
	b = appendBool(b, 8, p.Paused)
	b = appendText(b, 9, string(p.Salt))
	b = appendText(b, 10, p.Capability)
	if p.Where != nil {
		b = appendMessage(b, 11, p.Where.Append(nil))
	}
	b = appendTexts(b, 12, p.StratifiedBy)
	for i := range p.Strata {
		b = appendMessage(b, 13, p.Strata[i].append(nil))
	}
	b = appendVarint(b, 14, uint64(p.LapWindows))
	for i := range p.Statistics {
		b = appendMessage(b, 15, p.Statistics[i].append(nil))
	}
	b = appendText(b, 16, p.Model)
	b = appendVarint(b, 17, p.EpsilonMicro)
	b = appendVarint(b, 18, p.EpsilonPeriodMicro)
	b = appendVarint(b, 19, p.PeriodMs)
	b = appendTexts(b, 20, p.GroupBy)
	b = appendFixed64(b, 21, math.Float64bits(p.Confidence))
	b = appendText(b, 22, p.ClusteredBy)
	return appendVarint(b, 23, p.EpsilonValueMicro)
}
