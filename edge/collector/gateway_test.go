package collector

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/internal/clock"
)

func parseGateway(t *testing.T, text string) (Config, Faults) {
	t.Helper()
	c, err := Parse([]byte(text), "/etc")
	var faults Faults
	if err != nil && !errors.As(err, &faults) {
		t.Fatal(err)
	}
	return c, faults
}

func TestExampleGatewayParses(t *testing.T) {
	b, err := os.ReadFile("../gateway/testdata/gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, faults := parseGateway(t, string(b))
	if faults != nil {
		t.Fatal(faults)
	}
	ids := c.Identities()
	if len(ids) != 3 || ids[2].Device != "block-12-flat-3" || ids[2].Gateway != "block-12" || ids[2].Attributes["floor"] != "2" ||
		ids[2].Attributes["region"] != "asia" || strings.Join(ids[1].Capabilities[0].Readings, " ") != "temperature humidity" ||
		strings.Join(ids[0].Capabilities[0].Readings, " ") != "temperature" {
		t.Errorf("%+v", ids)
	}
	if c.Sensors[0].Network.TokenFile != "/etc/token" || c.Sensors[4].Network.TokenFile != "/etc/flat3.token" ||
		strings.Join(c.Policy.Models, " ") != agent.Gateway || c.Listen.Address != "0.0.0.0:8650" {
		t.Errorf("%+v", c)
	}
}

// A household is a gateway with one unit, which needs no name; who hears nobody doesn't listen.
func TestHouseholdIsOneUnit(t *testing.T) {
	const text = `
role: gateway
server: nats://x
device: home-7
data: /d
sensors: [{capability: sense.temperature, source: thermal, zone: z}, {capability: sense.temperature, source: thermal, zone: y}]
policy: {capabilities: [sense.temperature], epsilon: 1, lifetime: none}
`
	c, faults := parseGateway(t, text)
	if faults != nil || c.Listen.Address != "" || len(c.Units) != 1 || c.Identities()[0].Device != "home-7-home" || c.Sensors[1].Unit != "home" {
		t.Errorf("%v, %+v", faults, c)
	}
	c, faults = parseGateway(t, strings.Replace(text, "source: thermal, zone: z", "source: network, name: hall", 1))
	if faults != nil || c.Listen.Address != "127.0.0.1:8650" {
		t.Errorf("%v, %+v", faults, c.Listen)
	}
}

// All faults of a gateway's file are told at once.
func TestFaultsOfGateways(t *testing.T) {
	_, faults := parseGateway(t, `
role: gateway
server: nats://x
device: g
data: /d
attributes: {gateway: x}
units: [{name: a}, {name: a}, {name: "b c"}, {name: d, attributes: {gateway: y}}]
listen: {address: "192.168.1.5", certificate: c}
spool: {bytes: 512KiB}
sensors:
  - {source: network, unit: a, capability: sense.x}
  - {source: network, unit: z, name: s, capability: sense.x}
  - {source: network, unit: a, name: s, capability: sense.x, token_file: t}
  - {source: thermal, zone: z, name: n, unit: a, capability: sense.x}
policy: {models: [local], capabilities: [sense.x], open: [sense.x], epsilon: 1, lifetime: none}
`)
	var got []string
	for _, f := range faults {
		got = append(got, f.Path)
	}
	want := "attributes.gateway spool.bytes units[0].attributes.gateway units[1].name units[1].attributes.gateway units[2].name " +
		"units[2].attributes.gateway units[3].attributes.gateway listen listen.address sensors[0].name sensors[1].unit sensors[3] " +
		"sensors[2] sensors[2].token_file sensors[0].token_file sensors[1].token_file policy.models[0] units[2] units[3] policy.open"
	if strings.Join(got, " ") != want {
		t.Errorf("%s\nwant\n%s\n%v", strings.Join(got, " "), want, faults)
	}
	_, faults = parseGateway(t, `
server: nats://x
device: g
data: /d
units: [{name: a}]
listen: {address: "127.0.0.1:1"}
sensors: [{source: network, unit: a, name: s, capability: sense.x}]
policy: {models: [gateway], capabilities: [sense.x], epsilon: 1, lifetime: none}
`)
	got = nil
	for _, f := range faults {
		got = append(got, f.Path)
	}
	if want := "units listen sensors[0].unit sensors[0].source policy.models[0]"; strings.Join(got, " ") != want {
		t.Errorf("%s\nwant\n%s", strings.Join(got, " "), want)
	}
}

// Beyond loopback nobody is heard without a token.
func TestTokensBeyondLoopback(t *testing.T) {
	for address, want := range map[string]int{
		"127.0.0.1:1": 0, "localhost:1": 0, "[::1]:1": 0, "0.0.0.0:1": 1, "[::]:1": 1, ":1": 1, "192.168.1.5:1": 1, "gateway.local:1": 1,
	} {
		_, faults := parseGateway(t, `
role: gateway
server: nats://x
device: g
data: /d
listen: {address: "`+address+`"}
sensors: [{source: network, name: s, capability: sense.x}]
policy: {capabilities: [sense.x], epsilon: 1, lifetime: none}
`)
		if len(faults) != want || want == 1 && faults[0].Path != "sensors[0].token_file" {
			t.Errorf("%s: %v", address, faults)
		}
	}
}

// A build without a gateway says so; it never speaks for the units in another way.
func TestNoVoiceNoGateway(t *testing.T) {
	c, faults := parseGateway(t, `
role: gateway
server: nats://x
device: g
data: /d
sensors: [{source: thermal, zone: z, capability: sense.x}]
policy: {capabilities: [sense.x], epsilon: 1, lifetime: none}
`)
	if faults != nil {
		t.Fatal(faults)
	}
	if _, err := Open(Parts{Config: c, Data: disktest.New(1), Clock: clock.NewManual(begin)}); !errors.Is(err, ErrGateway) {
		t.Error(err)
	}
}
