package collector

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// The roles of a process.
const (
	RoleCollector = "collector" // a device that speaks for itself
	RoleGateway   = "gateway"   // speaks for the units whose sensors it hears
)

// Network is the source of a sensor that sends its readings to a gateway.
const Network = "network"

// Unit is what a gateway speaks for: what epsilon protects.
type Unit struct {
	Name         string
	Attributes   map[string]string // those of the file, and the unit's own
	Capabilities []wire.Capability // of its sensors, as far as the policy names them
}

// Listen is where a gateway hears its sensors. Files are paths, or empty.
type Listen struct {
	Address     string // host and port
	TokenFile   string // of all sensors that have none of their own
	Certificate string
	Key         string
}

// NetworkSensor is a sensor that sends its readings itself.
type NetworkSensor struct {
	Name      string // by which it calls itself
	TokenFile string // its own, else the one of all, or empty
}

// unitDefault is the one unit of a gateway whose file names none.
const unitDefault = "home"

type unitDocument struct {
	Name       string            `yaml:"name"`
	Attributes map[string]string `yaml:"attributes"`
}

type listenDocument struct {
	Address     string `yaml:"address"`
	TokenFile   string `yaml:"token_file"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Identities returns who speaks through the process, as far as the file says it: the device, or each unit.
func (c *Config) Identities() []agent.Config {
	if c.Role != RoleGateway {
		return []agent.Config{{
			Device: c.Device, Attributes: c.Attributes, Capabilities: c.Capabilities, Policy: c.Policy,
		}}
	}
	out := make([]agent.Config, len(c.Units))
	for i, u := range c.Units {
		out[i] = agent.Config{
			Device: c.Device + "-" + u.Name, Gateway: c.Device, Attributes: u.Attributes, Capabilities: u.Capabilities,
			Policy: c.Policy,
		}
	}
	return out
}

// role reads what only a gateway has; whoever is none must not have it.
func (r *reader) role(d *document, c *Config) {
	c.Role = d.Role
	switch d.Role {
	case "", RoleCollector:
		c.Role = RoleCollector
		if len(d.Units) > 0 {
			r.fault("units", "belong to a gateway; write role: gateway, or leave them out")
		}
		if d.Listen != (listenDocument{}) {
			r.fault("listen", "belongs to a gateway; write role: gateway, or leave it out")
		}
	case RoleGateway:
		r.units(d, c)
	default:
		r.fault("role", "must be collector or gateway")
	}
}

func (r *reader) units(d *document, c *Config) {
	units := d.Units
	if len(units) == 0 {
		units = []unitDocument{{Name: unitDefault}}
	}
	if len(units) > agent.UnitsMost {
		r.fault("units", "has %d entries, at most %d are allowed", len(units), agent.UnitsMost)
	}
	seen := map[string]bool{}
	for i, u := range units {
		at := fmt.Sprintf("units[%d]", i)
		if wire.CheckDevice(c.Device+"-"+u.Name) != nil || u.Name == "" {
			r.fault(at+".name", "must be of A-Z a-z 0-9 _ -, and with device and a hyphen before it at most %d characters", wire.DeviceMost)
		}
		if seen[u.Name] {
			r.fault(at+".name", "is that of another unit")
		}
		seen[u.Name] = true
		attributes := maps.Clone(c.Attributes)
		if attributes == nil {
			attributes = map[string]string{}
		}
		maps.Copy(attributes, u.Attributes)
		r.attributes(at+".attributes", attributes, attributesMost-1) // the registry adds one
		c.Units = append(c.Units, Unit{Name: u.Name, Attributes: attributes})
	}
}

// attributes checks the attributes of a device or a unit.
func (r *reader) attributes(path string, a map[string]string, most int) {
	if len(a) > most {
		r.fault(path, "has %d entries, at most %d are allowed", len(a), most)
	}
	if _, taken := a[agent.GatewayAttribute]; taken {
		r.fault(path+"."+agent.GatewayAttribute, "is the server's own: it names the gateway that speaks for a device; rename yours")
	}
}

// place finds the unit of a sensor and, for one that sends its readings, its name and token.
func (r *reader) place(at string, s *sensorDocument, c *Config, out *Sensor) {
	if c.Role != RoleGateway {
		if s.Unit != "" {
			r.fault(at+".unit", "belongs to a gateway; write role: gateway, or leave it out")
		}
		if s.Source == Network {
			r.fault(at+".source", "network belongs to a gateway; write role: gateway")
		}
	} else {
		out.Unit = s.Unit
		if out.Unit == "" && len(c.Units) == 1 {
			out.Unit = c.Units[0].Name
		}
		if !slices.ContainsFunc(c.Units, func(u Unit) bool { return u.Name == out.Unit }) {
			r.fault(at+".unit", "must be the name of one of the units")
		}
	}
	if s.Source != Network {
		if s.Name != "" || s.TokenFile != "" {
			r.fault(at, "name and token_file belong to the source network")
		}
		return
	}
	out.Network = &NetworkSensor{Name: s.Name, TokenFile: r.path(s.TokenFile)}
	if s.TokenFile == "" {
		out.Network.TokenFile = c.Listen.TokenFile
	}
	if s.Name == "" || len(s.Name) > wire.DeviceMost {
		r.fault(at+".name", "must be 1 to %d bytes: the name by which the sensor calls itself", wire.DeviceMost)
	}
}

// portDefault is where a gateway listens whose file names no port.
const portDefault = 8650

// listen reads where the sensors are heard.
func (r *reader) listen(d *document, c *Config) {
	l := &d.Listen
	c.Listen = Listen{
		Address: l.Address, TokenFile: r.path(l.TokenFile), Certificate: r.path(l.Certificate), Key: r.path(l.Key),
	}
	if c.Role != RoleGateway {
		return
	}
	if l.Address == "" {
		c.Listen.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(portDefault))
	}
	if (l.Certificate == "") != (l.Key == "") {
		r.fault("listen", "needs certificate and key, or neither")
	}
	_, port, err := net.SplitHostPort(c.Listen.Address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.fault("listen.address", "must be a host and a port, e.g. 192.168.1.5:%d", portDefault)
	}
}

// tokens demands a token of every sensor that may be anybody on the network.
func (r *reader) tokens(c *Config) {
	heard := false
	for i, s := range c.Sensors {
		if s.Network == nil {
			continue
		}
		heard = true
		if s.Network.TokenFile == "" && !loopback(c.Listen.Address) {
			r.fault(fmt.Sprintf("sensors[%d].token_file", i), "is missing, and so is listen.token_file: beyond loopback every sensor needs a token")
		}
	}
	if c.Role == RoleGateway && !heard {
		c.Listen = Listen{} // nobody to listen to
	}
}

// loopback says whether only this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// ways forbids two sensors of one name and reading: nobody could tell whose a number is.
func (r *reader) ways(c *Config) {
	seen := map[string]bool{}
	for i, s := range c.Sensors {
		if s.Network == nil {
			continue
		}
		name := s.Network.Name + "\x00" + s.Reading
		if seen[name] {
			r.fault(fmt.Sprintf("sensors[%d]", i), "is the second of the name %s for %s", s.Network.Name, s.Reading)
		}
		seen[name] = true
		first := slices.IndexFunc(c.Sensors, func(o Sensor) bool { return o.Network != nil && o.Network.Name == s.Network.Name })
		if c.Sensors[first].Network.TokenFile != s.Network.TokenFile {
			r.fault(fmt.Sprintf("sensors[%d].token_file", i), "must be that of the other readings of %s", s.Network.Name)
		}
	}
}

// capabilitiesOf lists what sensors give of what the policy names, in its order, for one unit, or for all with unit "".
func capabilitiesOf(names, open []string, sensors []Sensor, unit string) []wire.Capability {
	var out []wire.Capability
	for _, name := range names {
		capability := wire.Capability{Name: name, Open: slices.Contains(open, name)}
		for _, s := range sensors {
			if s.Capability == name && (unit == "" || s.Unit == unit) && !slices.Contains(capability.Readings, s.Reading) {
				capability.Readings = append(capability.Readings, s.Reading)
			}
		}
		out = append(out, capability)
	}
	return out
}

// give gives each unit its capabilities.
func (r *reader) give(d *document, c *Config) {
	for i := range c.Units {
		u := &c.Units[i]
		u.Capabilities = slices.DeleteFunc(capabilitiesOf(d.Policy.Capabilities, nil, c.Sensors, u.Name),
			func(k wire.Capability) bool { return len(k.Readings) == 0 })
		if len(u.Capabilities) == 0 {
			r.fault(fmt.Sprintf("units[%d]", i), "has no sensor of a capability that the policy names")
		}
	}
	if c.Role == RoleGateway && len(d.Policy.Open) > 0 {
		r.fault("policy.open", "must be empty: a gateway lets nothing out without noise")
	}
}

// modelsOf says which models a role may take part in, the first being the default.
func modelsOf(role string) []string {
	if role == RoleGateway {
		return []string{agent.Gateway}
	}
	return []string{agent.Local, agent.None}
}

func either(words []string) string { return strings.Join(words, " or ") }
