package intake

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

func releaseOf(change func(*quadratv1.GatewayRelease)) *quadratv1.IntakeRequest {
	r := &quadratv1.GatewayRelease{
		Gateway: "gate", Kappa: "k", Revision: 1, Window: 5, Statistic: 1, Parts: []*quadratv1.ReleasePart{
			{Device: "gate-a", Units: 3, Values: []int64{-7, 1 << 40}}, {Device: "gate-b", Units: 1, Values: []int64{0, 2}},
		},
	}
	change(r)
	return &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Release{Release: r}}
}

// A release that breaks its law is refused with its cause, and nothing of it is stored.
func TestReleasesAreRefused(t *testing.T) {
	b := setUp(t, behind{"gate-a": "gate", "gate-b": "gate", "gate-c": "other"}, nil)
	part := func(change func(*quadratv1.ReleasePart)) func(*quadratv1.GatewayRelease) {
		return func(r *quadratv1.GatewayRelease) { change(r.Parts[1]) }
	}
	cases := []struct {
		name, device string
		change       func(*quadratv1.GatewayRelease)
		cause        fault
	}{
		{"another's subject", "other", func(*quadratv1.GatewayRelease) {}, faultIdentity},
		{"no gateway", "gate", func(r *quadratv1.GatewayRelease) { r.Gateway = "" }, faultIdentity},
		{"no kappa", "gate", func(r *quadratv1.GatewayRelease) { r.Kappa = "" }, faultReport},
		{"no revision", "gate", func(r *quadratv1.GatewayRelease) { r.Revision = 0 }, faultReport},
		{"negative window", "gate", func(r *quadratv1.GatewayRelease) { r.Window = -1 }, faultReport},
		{"no parts", "gate", func(r *quadratv1.GatewayRelease) { r.Parts = nil }, faultMalformed},
		{"no values", "gate", func(r *quadratv1.GatewayRelease) { r.Parts = r.Parts[:1]; r.Parts[0].Values = nil }, faultMalformed},
		{"fewer values", "gate", part(func(p *quadratv1.ReleasePart) { p.Values = p.Values[:1] }), faultMalformed},
		{"no unit", "gate", part(func(p *quadratv1.ReleasePart) { p.Units = 0 }), faultMalformed},
		{"part twice", "gate", part(func(p *quadratv1.ReleasePart) { p.Device = "gate-a" }), faultMalformed},
		{"out of order", "gate", func(r *quadratv1.GatewayRelease) { slices.Reverse(r.Parts) }, faultMalformed},
		{"unknown unit", "gate", part(func(p *quadratv1.ReleasePart) { p.Device = "gate-z" }), faultGateway},
		{"another's unit", "gate", part(func(p *quadratv1.ReleasePart) { p.Device = "gate-c" }), faultGateway},
		{"no identity", "gate", part(func(p *quadratv1.ReleasePart) { p.Device = "gate-b*" }), faultIdentity},
		{"too large", "gate", func(r *quadratv1.GatewayRelease) {
			r.Parts = nil
			for i := range 3000 {
				r.Parts = append(r.Parts, &quadratv1.ReleasePart{Device: fmt.Sprintf("gate-%04d", i), Units: 1, Values: []int64{1}})
			}
		}, faultSize},
	}
	for _, c := range cases {
		got := b.ask(t, c.device, encode(t, releaseOf(c.change)))
		if got.GetStatus() != quadratv1.IntakeReply_STATUS_REJECTED || got.GetReason() == "" {
			t.Errorf("%s: answer %v", c.name, got)
		}
		if n := b.counted(t, "quadrat_intake_requests_rejected_total", string(c.cause)); n == 0 {
			t.Errorf("%s: not counted as %s", c.name, c.cause)
		}
	}
	if err := b.intake.Close(); err != nil {
		t.Fatal(err)
	}
	dead, err := b.broker.JetStream().Stream(t.Context(), broker.StreamDeadLetter)
	if err != nil {
		t.Fatal(err)
	}
	reports, err := b.broker.JetStream().Stream(t.Context(), broker.StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	if got := dead.CachedInfo().State.Msgs; got != uint64(len(cases)) || reports.CachedInfo().State.Msgs != 0 {
		t.Errorf("%d dead letters, want %d; %d messages stored", got, len(cases), reports.CachedInfo().State.Msgs)
	}
}

// A release is stored as it was sent, with pseudonyms, in the partition of its gateway, beside the reports of the batch.
func TestReleasesAreStored(t *testing.T) {
	b := setUp(t, behind{"gate-a": "gate", "gate-b": "gate"}, nil)
	for _, m := range []*quadratv1.IntakeRequest{releaseOf(func(*quadratv1.GatewayRelease) {}), releaseOf(func(r *quadratv1.GatewayRelease) { r.Statistic = 0 })} {
		if got := b.ask(t, "gate", encode(t, m)); got.GetStatus() != quadratv1.IntakeReply_STATUS_STORED {
			t.Fatalf("answer %v", got)
		}
	}
	if n := b.counted(t, "quadrat_intake_releases_stored_total", ""); n != 2 {
		t.Errorf("%v releases counted as stored", n)
	}
	want := &quadratv1.StoredRelease{
		Kappa: "k", Revision: 1, Window: 5, Statistic: 1, Gateway: uint64(keyer.Key("gate")),
		Device: []uint64{uint64(keyer.Key("gate-a")), uint64(keyer.Key("gate-b"))}, Units: []uint32{3, 1}, Values: []int64{-7, 1 << 40, 0, 2},
	}
	stream, err := b.broker.JetStream().Stream(t.Context(), broker.StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	batch := storedBatch(t, m)
	if m.Subject != broker.ReportSubject(fleet.Partition(keyer.Key("gate"))) || len(batch.GetGroups()) != 0 ||
		len(batch.GetReleases()) != 1 || !proto.Equal(batch.GetReleases()[0], want) {
		t.Errorf("on %s: %v, want %v", m.Subject, batch, want)
	}
}

func storedBatch(t *testing.T, m *jetstream.RawStreamMsg) *quadratv1.StoredBatch {
	t.Helper()
	batch := &quadratv1.StoredBatch{}
	if err := proto.Unmarshal(m.Data, batch); err != nil {
		t.Fatal(err)
	}
	return batch
}

// FuzzRelease feeds requests of releases: what is taken obeys the law, and what is stored is what was sent.
func FuzzRelease(f *testing.F) {
	f.Add(encode(f, releaseOf(func(*quadratv1.GatewayRelease) {})))
	f.Add(encode(f, releaseOf(func(r *quadratv1.GatewayRelease) { r.Parts = r.Parts[:1] })))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, p := decoder{}, newPack(keyer)
		if d.decode(body, "gate", behind{"gate-a": "gate", "gate-b": "gate"}) != "" || d.parts == nil {
			return
		}
		p.add(&d, "gate", "")
		batch := &quadratv1.StoredBatch{}
		if err := proto.Unmarshal(p.messages(time.UnixMilli(0))[0].Data, batch); err != nil {
			t.Fatal(err)
		}
		r := batch.GetReleases()[0]
		if len(r.GetDevice()) == 0 || len(r.GetDevice()) != len(r.GetUnits()) || len(r.GetValues())%len(r.GetDevice()) != 0 ||
			len(r.GetValues()) == 0 || r.GetWindow() < 0 || r.GetRevision() == 0 || slices.Contains(r.GetUnits(), 0) {
			t.Errorf("stored %v", r)
		}
		values := []int64(nil)
		for _, part := range d.parts {
			values = append(values, part.GetValues()...)
		}
		if !slices.Equal(values, r.GetValues()) {
			t.Errorf("stored %v, sent %v", r.GetValues(), values)
		}
	})
}
