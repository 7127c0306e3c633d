package wire_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const rounds = 2000

// both encodes with one codec, decodes with the other, in both directions.
func both[T any](t *testing.T, mine []byte, theirs proto.Message, empty proto.Message, want T, decode func([]byte) (T, error)) {
	t.Helper()
	if err := proto.Unmarshal(mine, empty); err != nil {
		t.Fatalf("generated code can't read ours: %v", err)
	}
	if !proto.Equal(empty, theirs) {
		t.Fatalf("generated code reads ours as\n%v\nwant\n%v", empty, theirs)
	}
	b, err := proto.Marshal(theirs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(b)
	if err != nil {
		t.Fatalf("we can't read the generated code's: %v", err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("we read\n%+v\nwant\n%+v", got, want)
	}
}

func TestReportAgainstGenerated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range rounds {
		a := wire.Report{
			Device: identity(r), Kappa: identity(r), Revision: 1 + r.Uint32N(1<<31), Window: r.Int64(),
			Statistic: r.Uint32() >> r.IntN(32), Value: int64(r.Uint64()) >> r.IntN(64),
		}
		p := &quadratv1.Report{
			Device: a.Device, Kappa: a.Kappa, Revision: a.Revision, Window: a.Window, Statistic: a.Statistic, Value: a.Value,
		}
		both(t, a.Append(nil), p, &quadratv1.Report{}, a, wire.DecodeReport)
		request := &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Report{Report: p}}
		b := a.AppendRequest(nil)
		both(t, b, request, &quadratv1.IntakeRequest{}, a, wire.DecodeRequest)
		if len(b) != a.RequestSize() || len(b) > wire.RequestMost {
			t.Fatalf("%d bytes, RequestSize says %d", len(b), a.RequestSize())
		}
	}
}

func TestIntakeReplyAgainstGenerated(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for range rounds {
		a := wire.IntakeReply{Status: wire.Status(r.IntN(4)), Reason: text(r)}
		p := &quadratv1.IntakeReply{Status: quadratv1.IntakeReply_Status(a.Status), Reason: a.Reason}
		both(t, a.Append(nil), p, &quadratv1.IntakeReply{}, a, wire.DecodeIntakeReply)
	}
}

func TestStatusesAreTheSchemas(t *testing.T) {
	for status, want := range map[wire.Status]quadratv1.IntakeReply_Status{
		wire.Unspecified: quadratv1.IntakeReply_STATUS_UNSPECIFIED, wire.Stored: quadratv1.IntakeReply_STATUS_STORED,
		wire.Rejected: quadratv1.IntakeReply_STATUS_REJECTED, wire.Retry: quadratv1.IntakeReply_STATUS_RETRY,
	} {
		if uint32(status) != uint32(want) {
			t.Errorf("%v is %d here", want, status)
		}
	}
}

func TestHelloAgainstGenerated(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for range rounds {
		a := wire.Hello{
			Device: identity(r), PlanSetVersion: r.Uint64() >> r.IntN(64), Gateway: text(r), Leaving: r.IntN(2) == 0,
			ClockMs: int64(r.Uint64()), Software: text(r), Session: r.Uint32() >> r.IntN(32),
			Limits: wire.Limits{
				EpsilonMicro: r.Uint64() >> r.IntN(64), PeriodMs: r.Uint64() >> r.IntN(64),
				LifetimeMicro: r.Uint64() >> r.IntN(64), Models: texts(r),
			},
			Mechanisms: texts(r),
		}
		p := &quadratv1.Hello{
			Device: a.Device, PlanSetVersion: a.PlanSetVersion, Gateway: a.Gateway, Leaving: a.Leaving, ClockMs: a.ClockMs,
			Software: a.Software, Session: a.Session, Limits: &quadratv1.Limits{
				EpsilonMicro: a.Limits.EpsilonMicro, PeriodMs: a.Limits.PeriodMs, LifetimeMicro: a.Limits.LifetimeMicro,
				Models: a.Limits.Models,
			},
			Mechanisms: a.Mechanisms,
		}
		if n := r.IntN(4); n > 0 {
			a.Attributes, a.Counters = map[string]string{}, map[string]uint64{}
			for i := range n {
				a.Attributes[fmt.Sprint(i)] = text(r)
				a.Counters[text(r)] = r.Uint64() >> r.IntN(64)
			}
			p.Attributes, p.Counters = a.Attributes, a.Counters
		}
		for range r.IntN(4) {
			c := wire.Capability{Name: text(r), Readings: texts(r), Open: r.IntN(2) == 0}
			a.Capabilities = append(a.Capabilities, c)
			p.Capabilities = append(p.Capabilities, &quadratv1.Capability{Name: c.Name, Readings: c.Readings, Open: c.Open})
		}
		both(t, a.Append(nil), p, &quadratv1.Hello{}, a, wire.DecodeHello)
	}
}

func TestPlansAgainstGenerated(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	for range rounds {
		a, p := plan(r)
		both(t, a.Append(nil), p, &quadratv1.DevicePlan{}, a, wire.DecodeDevicePlan)

		broadcast := wire.PlanBroadcast{PlanSetVersion: r.Uint64(), PreviousVersion: r.Uint64(), Deleted: text(r)}
		theirs := &quadratv1.PlanBroadcast{
			PlanSetVersion: broadcast.PlanSetVersion, PreviousVersion: broadcast.PreviousVersion, Deleted: broadcast.Deleted,
		}
		if r.IntN(2) == 0 {
			broadcast.Plan, theirs.Plan = a, p
		}
		both(t, broadcast.Append(nil), theirs, &quadratv1.PlanBroadcast{}, broadcast, wire.DecodePlanBroadcast)

		reply := wire.HelloReply{Error: text(r), ServerTimeMs: int64(r.Uint64()), PlanSetVersion: r.Uint64(), Live: texts(r)}
		answer := &quadratv1.HelloReply{
			Error: reply.Error, ServerTimeMs: reply.ServerTimeMs, PlanSetVersion: reply.PlanSetVersion, Live: reply.Live,
		}
		for range r.IntN(3) {
			reply.Plans, answer.Plans = append(reply.Plans, a), append(answer.Plans, p)
		}
		both(t, reply.Append(nil), answer, &quadratv1.HelloReply{}, reply, wire.DecodeHelloReply)
	}
}

func plan(r *rand.Rand) (*wire.DevicePlan, *quadratv1.DevicePlan) {
	a := &wire.DevicePlan{
		Ref: text(r), Name: text(r), Revision: r.Uint32(), PlanSetVersion: r.Uint64(), FromWindow: int64(r.Uint64()),
		WindowMs: r.Uint64(), GraceMs: r.Uint64() >> r.IntN(64), Paused: r.IntN(2) == 0, Salt: []byte(identity(r)),
		Capability: text(r), StratifiedBy: texts(r), LapWindows: r.Uint32(), Model: text(r), EpsilonMicro: r.Uint64(),
		EpsilonPeriodMicro: r.Uint64(), PeriodMs: r.Uint64(), GroupBy: texts(r), Confidence: r.Float64(), ClusteredBy: text(r),
		EpsilonValueMicro: r.Uint64() >> r.IntN(64),
	}
	p := &quadratv1.DevicePlan{
		Ref: a.Ref, Name: a.Name, Revision: a.Revision, PlanSetVersion: a.PlanSetVersion, FromWindow: a.FromWindow,
		WindowMs: a.WindowMs, GraceMs: a.GraceMs, Paused: a.Paused, Salt: a.Salt, Capability: a.Capability,
		StratifiedBy: a.StratifiedBy, LapWindows: a.LapWindows, Model: a.Model, EpsilonMicro: a.EpsilonMicro,
		EpsilonPeriodMicro: a.EpsilonPeriodMicro, PeriodMs: a.PeriodMs, GroupBy: a.GroupBy, Confidence: a.Confidence, ClusteredBy: a.ClusteredBy,
		EpsilonValueMicro: a.EpsilonValueMicro,
	}
	if r.IntN(2) == 0 {
		a.Where, p.Where = predicate(r, 3)
	}
	for range r.IntN(4) {
		s := wire.StratumPlan{Name: text(r), Origin: r.Uint64()}
		q := &quadratv1.StratumPlan{Name: s.Name, Origin: s.Origin}
		for range r.IntN(4) {
			v := append(texts(r), text(r))
			s.Members, q.Members = append(s.Members, v), append(q.Members, &quadratv1.AttributeValues{Values: v})
		}
		for range r.IntN(9) {
			v := r.Uint64() >> r.IntN(64)
			s.Last, q.Last = append(s.Last, v), append(q.Last, v)
		}
		a.Strata, p.Strata = append(a.Strata, s), append(p.Strata, q)
	}
	for range r.IntN(4) {
		s := wire.StatisticPlan{
			Name: text(r), Kind: text(r), Reading: text(r), Summary: text(r), Comparison: text(r),
			ThresholdMicro: int64(r.Uint64()) >> r.IntN(64), Mechanism: text(r), LoMicro: int64(r.Uint64()),
			HiMicro: int64(r.Uint64()) >> r.IntN(64), Categories: r.Uint32() >> r.IntN(32), ShareMicro: r.Uint32() >> r.IntN(32),
		}
		a.Statistics = append(a.Statistics, s)
		p.Statistics = append(p.Statistics, &quadratv1.StatisticPlan{
			Name: s.Name, Kind: s.Kind, Reading: s.Reading, Summary: s.Summary, Comparison: s.Comparison,
			ThresholdMicro: s.ThresholdMicro, Mechanism: s.Mechanism, LoMicro: s.LoMicro, HiMicro: s.HiMicro,
			Categories: s.Categories, ShareMicro: s.ShareMicro,
		})
	}
	return a, p
}

func predicate(r *rand.Rand, depth int) (*attr.Predicate, *quadratv1.Predicate) {
	if depth > 0 && r.IntN(2) == 0 {
		a, p := predicate(r, depth-1)
		b, q := predicate(r, depth-1)
		return &attr.Predicate{Op: "and", Args: []*attr.Predicate{a, b}},
			&quadratv1.Predicate{Op: "and", Args: []*quadratv1.Predicate{p, q}}
	}
	name, value, number := "a"+text(r), text(r), r.IntN(2) == 0
	return &attr.Predicate{Op: "<", Attribute: name, Values: []attr.Literal{{Text: value, Number: number}}},
		&quadratv1.Predicate{Op: "<", Attribute: name, Values: []*quadratv1.Literal{{Text: value, Number: number}}}
}

func identity(r *rand.Rand) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	b := make([]byte, 1+r.IntN(wire.DeviceMost))
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func text(r *rand.Rand) string {
	return []string{"", "a", "mean(temperature)", "région", "小", identity(r)}[r.IntN(6)]
}

// texts is nil or has an element, which may be empty.
func texts(r *rand.Rand) []string {
	var list []string
	for range r.IntN(4) {
		list = append(list, text(r))
	}
	return list
}
