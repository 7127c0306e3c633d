package wire

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quadrat-dev/quadrat/internal/attr"
)

// DecodeDevicePlan reads a plan. It checks form; call Validate for the law.
func DecodeDevicePlan(b []byte) (*DevicePlan, error) {
	if len(b) > messageMost {
		return nil, ErrSize
	}
	p := &DevicePlan{}
	f := fields{rest: b}
	for f.next() {
		if f.num <= 10 {
			p.head(&f)
		} else {
			p.body(&f)
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	return p, nil
}

// head takes fields 1 to 10.
func (p *DevicePlan) head(f *fields) {
	switch f.num {
	case 1:
		f.text(&p.Ref)
	case 2:
		f.text(&p.Name)
	case 3:
		f.uint32(&p.Revision)
	case 4:
		f.uint64(&p.PlanSetVersion)
	case 5:
		f.int64(&p.FromWindow)
	case 6:
		f.uint64(&p.WindowMs)
	case 7:
		f.uint64(&p.GraceMs)
	case 8:
		f.bool(&p.Paused)
	case 9:
		if f.typ == protowire.BytesType {
			p.Salt = bytes.Clone(f.content)
		}
	case 10:
		f.text(&p.Capability)
	}
}

// body takes fields 11 to 23.
func (p *DevicePlan) body(f *fields) {
	switch f.num {
	case 11:
		message(f, attr.Decode, func(w *attr.Predicate) { p.Where = w })
	case 12:
		f.texts(&p.StratifiedBy)
	case 13:
		message(f, decodeStratum, func(s StratumPlan) { p.Strata = append(p.Strata, s) })
	case 14:
		f.uint32(&p.LapWindows)
	case 15:
		message(f, decodeStatistic, func(s StatisticPlan) { p.Statistics = append(p.Statistics, s) })
	case 16:
		f.text(&p.Model)
	case 17:
		f.uint64(&p.EpsilonMicro)
	case 18:
		f.uint64(&p.EpsilonPeriodMicro)
	case 19:
		f.uint64(&p.PeriodMs)
	case 20:
		f.texts(&p.GroupBy)
	case 21:
		f.double(&p.Confidence)
	case 22:
		f.text(&p.ClusteredBy)
	case 23:
		f.uint64(&p.EpsilonValueMicro)
	}
}

func (s *StratumPlan) append(b []byte) []byte {
	b = appendText(b, 1, s.Name)
	for _, m := range s.Members {
		b = appendMessage(b, 2, appendTexts(nil, 1, m))
	}
	b = appendFixed64(b, 3, s.Origin)
	if len(s.Last) == 0 {
		return b
	}
	b = protowire.AppendTag(b, 4, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(8*len(s.Last)))
	for _, v := range s.Last {
		b = protowire.AppendFixed64(b, v)
	}
	return b
}

func decodeStratum(b []byte) (StratumPlan, error) {
	var s StratumPlan
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.text(&s.Name)
		case 2:
			message(&f, decodeValues, func(v []string) { s.Members = append(s.Members, v) })
		case 3:
			f.fixed64(&s.Origin)
		case 4:
			f.fixed64s(&s.Last)
		}
	}
	return s, f.err
}

func decodeValues(b []byte) ([]string, error) {
	var v []string
	f := fields{rest: b}
	for f.next() {
		if f.num == 1 {
			f.texts(&v)
		}
	}
	return v, f.err
}

func (s *StatisticPlan) append(b []byte) []byte {
	b = appendText(b, 1, s.Name)
	b = appendText(b, 2, s.Kind)
	b = appendText(b, 3, s.Reading)
	b = appendText(b, 4, s.Summary)
	b = appendText(b, 5, s.Comparison)
	b = appendVarint(b, 6, protowire.EncodeZigZag(s.ThresholdMicro))
	b = appendText(b, 7, s.Mechanism)
	b = appendVarint(b, 8, protowire.EncodeZigZag(s.LoMicro))
	b = appendVarint(b, 9, protowire.EncodeZigZag(s.HiMicro))
	b = appendVarint(b, 11, uint64(s.Categories))
	return appendVarint(b, 12, uint64(s.ShareMicro))
}

func decodeStatistic(b []byte) (StatisticPlan, error) {
	var s StatisticPlan
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.text(&s.Name)
		case 2:
			f.text(&s.Kind)
		case 3:
			f.text(&s.Reading)
		case 4:
			f.text(&s.Summary)
		case 5:
			f.text(&s.Comparison)
		case 6:
			f.sint64(&s.ThresholdMicro)
		case 7:
			f.text(&s.Mechanism)
		case 8:
			f.sint64(&s.LoMicro)
		case 9:
			f.sint64(&s.HiMicro)
		case 11:
			f.uint32(&s.Categories)
		case 12:
			f.uint32(&s.ShareMicro)
		}
	}
	return s, f.err
}

// PlanBroadcast is the message quadrat.v1.PlanBroadcast.
type PlanBroadcast struct {
	PlanSetVersion  uint64
	PreviousVersion uint64
	Plan            *DevicePlan // nil when a kappa was deleted
	Deleted         string
}

// Append encodes the broadcast behind b.
func (p *PlanBroadcast) Append(b []byte) []byte {
	b = appendVarint(b, 1, p.PlanSetVersion)
	b = appendVarint(b, 2, p.PreviousVersion)
	if p.Plan != nil {
		b = appendMessage(b, 3, p.Plan.Append(nil))
	}
	return appendText(b, 4, p.Deleted)
}

// DecodePlanBroadcast reads a broadcast. It checks form; the plan's law is checked by its Validate.
func DecodePlanBroadcast(b []byte) (PlanBroadcast, error) {
	var p PlanBroadcast
	if len(b) > messageMost {
		return p, ErrSize
	}
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.uint64(&p.PlanSetVersion)
		case 2:
			f.uint64(&p.PreviousVersion)
		case 3:
			message(&f, DecodeDevicePlan, func(d *DevicePlan) { p.Plan = d })
		case 4:
			f.text(&p.Deleted)
		}
	}
	return p, f.err
}
