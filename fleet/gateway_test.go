package fleet

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

func unitOf(gateway, unit string) *quadratv1.Hello {
	h := helloOf(gateway+"-"+unit, "floor", "2")
	h.Gateway = gateway
	h.Limits.Models = []string{ModelGateway}
	return h
}

func codeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// A gateway speaks for its own units, and for nobody who is there already.
func TestGatewaysClaimTheirOwnUnitsOnly(t *testing.T) {
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	r := newTestRegistry()
	say := func(by string, h *quadratv1.Hello, s int, want Code) {
		t.Helper()
		doubt, err := r.Announce(by, h, at(s))
		if codeOf(err) != want || (doubt == ForeignClaim) != (want == Claimed) {
			t.Errorf("%s for %s: %v, %q, want %q", by, h.GetDevice(), err, doubt, want)
		}
	}
	say("g", unitOf("g", "a"), 0, "")
	say("g", unitOf("g", "a"), 1, "")
	say("other", unitOf("g", "a"), 1, Identity)
	stranger := unitOf("g", "a")
	stranger.Gateway = "other"
	say("other", stranger, 1, Identity) // a name that isn't its own
	say("g", unitOf("g", ""), 1, Identity)
	// Both "g" and "g-a" may name a unit "g-a-b": whoever comes first has it.
	say("g-a", unitOf("g-a", "b"), 2, "")
	say("g", unitOf("g", "a-b"), 3, Claimed)
	own := helloOf("g-c")
	mustHello(t, r, own, at(3))
	say("g", unitOf("g", "c"), 4, Claimed)
	leaving := unitOf("g", "c")
	leaving.Leaving = true
	say("g", leaving, 4, Claimed) // nor can it make the device leave
	if row, ok := r.Lookup("g-c"); !ok || row.Gateway != "" {
		t.Fatal("the claim changed the device's row")
	}
	own.Leaving = true
	mustHello(t, r, own, at(5))
	say("g", unitOf("g", "c"), 6, "")
}

// The registry says which gateway a device is behind; a device that says so itself is refused.
func TestTheAttributeGatewayIsTheRegistrys(t *testing.T) {
	r := newTestRegistry()
	if err := r.Hello(helloOf("d", "gateway", "g"), epoch); codeOf(err) != Text {
		t.Fatalf("a device put itself behind a gateway: %v", err)
	}
	if _, err := r.Announce("g", unitOf("g", "a"), epoch); err != nil {
		t.Fatal(err)
	}
	behind := helloOf("e") // a device that speaks itself, of a gateway that carries its reports
	behind.Gateway = "h"
	mustHello(t, r, behind, epoch)
	again := newTestRegistry()
	for i := range r.shards {
		m := r.shards[i].save()
		for _, rec := range m.GetRows() {
			if _, stored := rec.GetHello().GetAttributes()[GatewayAttribute]; stored {
				t.Error("the attribute is stored beside the gateway")
			}
		}
		if err := again.restore(i, m); err != nil {
			t.Fatal(err)
		}
	}
	if row, ok := again.Lookup("g-a"); !ok || row.GatewayKey() != r.keyer.Key("g") {
		t.Error("the pseudonym of the gateway is wrong")
	}
	where := func(g string) *attr.Predicate {
		return &attr.Predicate{Op: "=", Attribute: GatewayAttribute, Values: []attr.Literal{{Text: g}}}
	}
	for _, from := range []*Registry{r, again} {
		if got := ids(from.Frame(Query{Where: where("g")}, epoch)); len(got) != 1 || got[0] != "g-a" {
			t.Errorf("behind g: %v", got)
		}
		if got := ids(from.Frame(Query{Where: where("h")}, epoch)); len(got) != 1 || got[0] != "e" {
			t.Errorf("behind h: %v", got)
		}
	}
}

// Before the attribute was reserved a device could announce it. Its stored rows are told as they were.
func TestStoredRowsKeepAnAttributeGateway(t *testing.T) {
	r := newTestRegistry()
	h := helloOf("d", "gateway", "south")
	key := r.keyer.Key("d")
	m := &quadratv1.FleetShard{Version: 1, Rows: []*quadratv1.DeviceRecord{{Hello: h, FromMs: epoch.UnixMilli(), SeenMs: epoch.UnixMilli()}}}
	if err := r.restore(shardOf(key), m); err != nil {
		t.Fatal(err)
	}
	if row, ok := r.Lookup("d"); !ok || row.Attributes[GatewayAttribute] != "south" {
		t.Fatal("a stored row was changed")
	}
	if saved := r.shards[shardOf(key)].save(); saved.GetRows()[0].GetHello().GetAttributes()[GatewayAttribute] != "south" {
		t.Fatal("the attribute was lost when the row was stored again")
	}
}

// The model gateway reaches units whose gateway takes part, and devices of their own that take part in local.
func TestTheModelGatewayReachesUnitsAndLocalDevices(t *testing.T) {
	r := newTestRegistry()
	say := func(id, gateway string, models ...string) {
		h := helloOf(id)
		h.Gateway, h.Limits.Models = gateway, models
		mustHello(t, r, h, epoch)
	}
	say("unit", "g", ModelGateway)
	say("local-behind", "g", "local")
	say("local", "", "local")
	say("claims", "", ModelGateway)
	say("none", "", "none")
	for model, want := range map[string][]string{
		ModelGateway: {"local", "unit"}, "local": {"local", "local-behind"}, "none": {}, "": {"claims", "local", "local-behind", "none", "unit"},
	} {
		got := ids(r.Frame(Query{Capability: "sense.temperature", Model: model}, epoch))
		open := model == "none" // its capability isn't open
		if len(got) != len(want) && !open {
			t.Errorf("%s: %v, want %v", model, got, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %v, want %v", model, got, want)
			}
		}
	}
}

// On a gateway's subject its units say hello; a claim of a foreign device is answered with the reason, counted and told.
func TestTheServerTellsOfForeignClaims(t *testing.T) {
	r := newTestRegistry()
	var told []Doubt
	s := NewServer(r, noPlans{}, ServerConfig{Doubtful: func(d Doubt, _ string, _ []byte) { told = append(told, d) }})
	answer := func(subject string, h *quadratv1.Hello) string {
		body, err := proto.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var reply quadratv1.HelloReply
		if err := proto.Unmarshal(s.Answer(subject, body), &reply); err != nil {
			t.Fatal(err)
		}
		return reply.GetError()
	}
	if e := answer("quadrat.hello.g", unitOf("g", "a")); e != "" {
		t.Errorf("a unit of its own: %s", e)
	}
	if e := answer("quadrat.hello.x", unitOf("g", "a")); e == "" {
		t.Error("a hello on another's subject was taken")
	}
	mustHello(t, r, helloOf("g-c"), epoch)
	if e := answer("quadrat.hello.g", unitOf("g", "c")); e == "" || s.Counts().Refused[Claimed] != 1 || len(told) != 1 || told[0] != ForeignClaim {
		t.Errorf("foreign claim: %q, %v, told %v", e, s.Counts().Refused, told)
	}
}

// noPlans is a plan set without plans.
type noPlans struct{}

func (noPlans) Version(uint64) uint64                                    { return 0 }
func (noPlans) Since(uint64) ([]*quadratv1.DevicePlan, uint64, []string) { return nil, 0, nil }
