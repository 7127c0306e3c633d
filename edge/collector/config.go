package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/sensor"
	"github.com/quadrat-dev/quadrat/edge/spool"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Config is edge.yaml, checked and with its defaults filled in.
type Config struct {
	Role        string // RoleCollector or RoleGateway
	Server      string
	Credentials string // file of NATS credentials, or empty
	CA          string // file of a certificate authority, or empty
	Device      string
	Attributes  map[string]string
	Units       []Unit // of a gateway
	Listen      Listen // of a gateway; empty when no sensor sends its readings
	Data        string // folder of ledger and spool
	Witness     string // folder of the ledger's second anchor, or empty
	SpoolBytes  int64
	SpoolDrop   spool.Policy
	HelloEvery  time.Duration
	Sensors     []Sensor
	Policy      agent.Policy
	// Capabilities is what is announced: the sensors' capabilities that the policy names.
	Capabilities []wire.Capability
}

// Sensor is one reading of a capability.
type Sensor struct {
	Unit       string // behind a gateway
	Capability string
	Reading    string
	Interval   time.Duration
	Spec       sensor.Spec    // of one that sends its readings: the scale alone
	Network    *NetworkSensor // of one that sends its readings
}

// Fault is a place in the configuration, a setting or a line, and what is wrong there.
type Fault struct{ Path, Text string }

// Faults is everything that is wrong with edge.yaml. It is an error.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.Path + ": " + x.Text
	}
	return strings.Join(lines, "\n")
}

// The layout of edge.yaml.
type document struct {
	Role        string            `yaml:"role"`
	Units       []unitDocument    `yaml:"units"`
	Listen      listenDocument    `yaml:"listen"`
	Server      string            `yaml:"server"`
	Credentials string            `yaml:"credentials"`
	CA          string            `yaml:"ca"`
	Device      string            `yaml:"device"`
	Attributes  map[string]string `yaml:"attributes"`
	Data        string            `yaml:"data"`
	Witness     string            `yaml:"witness"`
	Interval    string            `yaml:"interval"`
	Hello       string            `yaml:"hello"`
	Spool       struct {
		Bytes string `yaml:"bytes"`
		Drop  string `yaml:"drop"`
	} `yaml:"spool"`
	Sensors []sensorDocument `yaml:"sensors"`
	Policy  struct {
		Models       []string `yaml:"models"`
		Capabilities []string `yaml:"capabilities"`
		Open         []string `yaml:"open"`
		Epsilon      string   `yaml:"epsilon"`
		Per          string   `yaml:"per"`
		Lifetime     string   `yaml:"lifetime"`
	} `yaml:"policy"`
}

type sensorDocument struct {
	Capability string   `yaml:"capability"`
	Reading    string   `yaml:"reading"`
	Interval   string   `yaml:"interval"`
	Source     string   `yaml:"source"`
	Chip       string   `yaml:"chip"`
	Input      string   `yaml:"input"`
	Zone       string   `yaml:"zone"`
	Device     string   `yaml:"device"`
	Channel    string   `yaml:"channel"`
	Argv       []string `yaml:"argv"`
	Timeout    string   `yaml:"timeout"`
	File       string   `yaml:"file"`
	Column     string   `yaml:"column"`
	Timestamp  string   `yaml:"timestamp"`
	AtEnd      string   `yaml:"at_end"`
	Scale      string   `yaml:"scale"`
	Unit       string   `yaml:"unit"`
	Name       string   `yaml:"name"`
	TokenFile  string   `yaml:"token_file"`
}

const (
	intervalDefault = 10 * time.Second
	intervalLeast   = 10 * time.Millisecond
	helloDefault    = 5 * time.Minute
	helloLeast      = time.Second
	spoolDefault    = 16 << 20
	spoolGateway    = 1 << 20 // in a segment of an eighth two of the longest releases have room, as the spool demands
)

// Parse reads edge.yaml; relative paths in it start at folder. The error is a Faults that names everything that is wrong,
// not the first thing only.
func Parse(content []byte, folder string) (Config, error) {
	var d document
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, yamlFaults(err)
	}
	r := reader{folder: folder}
	c := r.config(&d)
	if len(r.faults) > 0 {
		return Config{}, r.faults
	}
	return c, nil
}

func yamlFaults(err error) Faults {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return Faults{located(strings.TrimPrefix(err.Error(), "yaml: "))}
	}
	var f Faults
	for _, text := range typed.Errors {
		f = append(f, located(plain.Replace(text)))
	}
	return f
}

// located is a fault that the YAML parser found: it tells the line and, since any file may be the configuration, no name.
func located(text string) Fault {
	if line, what, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(line, "line ") {
		return Fault{line, what}
	}
	return Fault{"layout", text}
}

// plain takes Go's words out of what the YAML parser says.
var plain = strings.NewReplacer(
	" in type collector.document", "", " in type collector.sensorDocument", "",
	" in type collector.unitDocument", "", " in type collector.listenDocument", "",
	"[]collector.sensorDocument", "a list of sensors", "[]collector.unitDocument", "a list of units", "[]string", "a list", "map[string]string", "names with values",
	"cannot unmarshal", "can't read",
)

// reader turns a document into a Config and collects what is wrong.
type reader struct {
	folder string
	faults Faults
}

func (r *reader) fault(path, format string, a ...any) {
	r.faults = append(r.faults, Fault{path, fmt.Sprintf(format, a...)})
}

func (r *reader) config(d *document) Config {
	c := Config{
		Server: d.Server, Credentials: r.path(d.Credentials), CA: r.path(d.CA), Device: d.Device,
		Attributes: d.Attributes, Data: r.path(d.Data), Witness: r.path(d.Witness),
		HelloEvery: r.duration("hello", d.Hello, helloDefault, helloLeast),
	}
	if d.Server == "" {
		r.fault("server", "is missing; write the server's NATS address, e.g. nats://192.168.1.10:4222")
	}
	if wire.CheckDevice(d.Device) != nil {
		r.fault("device", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
	}
	if d.Data == "" {
		r.fault("data", "is missing; name a folder that survives restarts, e.g. /var/lib/quadrat-edge")
	}
	if c.Witness != "" && c.Witness == c.Data {
		r.fault("witness", "must be another folder than data, one that a backup of data doesn't restore")
	}
	r.attributes("attributes", d.Attributes, attributesMost)
	r.spool(d, &c)
	r.role(d, &c)
	r.listen(d, &c)
	r.sensors(d, &c)
	r.ways(&c)
	r.tokens(&c)
	r.policy(d, &c)
	r.give(d, &c)
	return c
}

// attributesMost is the schema's limit for attributes and capabilities.
const attributesMost = 32

func (r *reader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.folder, p)
}

func (r *reader) spool(d *document, c *Config) {
	c.SpoolBytes = spoolDefault
	if d.Spool.Bytes != "" {
		n, ok := parseBytes(d.Spool.Bytes)
		if !ok || n < spool.BytesLeast {
			r.fault("spool.bytes", "must be a size of 32KiB or more, e.g. 16MiB")
		} else if d.Role == RoleGateway && n < spoolGateway {
			r.fault("spool.bytes", "must be 1MiB or more for a gateway, whose releases may be long")
		}
		c.SpoolBytes = n
	}
	switch d.Spool.Drop {
	case "", "oldest":
		c.SpoolDrop = spool.DropOldest
	case "newest":
		c.SpoolDrop = spool.DropNewest
	default:
		r.fault("spool.drop", "must be oldest or newest")
	}
}

func (r *reader) sensors(d *document, c *Config) {
	if len(d.Sensors) == 0 {
		r.fault("sensors", "is missing; a device without a sensor has nothing to say")
	}
	every := r.duration("interval", d.Interval, intervalDefault, intervalLeast)
	seen := map[string]bool{}
	for i := range d.Sensors {
		s, at := &d.Sensors[i], fmt.Sprintf("sensors[%d]", i)
		out := Sensor{
			Capability: s.Capability, Reading: s.Reading,
			Interval: r.duration(at+".interval", s.Interval, every, intervalLeast),
			Spec: sensor.Spec{
				Source: s.Source, Chip: s.Chip, Input: s.Input, Zone: s.Zone, Device: s.Device, Channel: s.Channel,
				Argv: s.Argv, Timeout: r.duration(at+".timeout", s.Timeout, 0, time.Millisecond),
				File: r.path(s.File), Column: s.Column, Timestamp: s.Timestamp, AtEnd: s.AtEnd, Scale: s.Scale,
			},
		}
		if s.Capability == "" {
			r.fault(at+".capability", "is missing, e.g. sense.temperature")
		}
		if out.Reading == "" {
			out.Reading = s.Capability[strings.LastIndexByte(s.Capability, '.')+1:]
		}
		r.place(at, s, c, &out)
		name := out.Capability + "\x00" + out.Reading
		if seen[name] && c.Role != RoleGateway {
			r.fault(at, "is the second sensor for %s of %s", out.Reading, out.Capability)
		}
		seen[name] = true
		for _, f := range out.Spec.Faults() {
			if out.Network == nil || f.Field == "scale" {
				r.fault(at+"."+f.Field, "%s", f.Text)
			}
		}
		c.Sensors = append(c.Sensors, out)
	}
}

func (r *reader) policy(d *document, c *Config) {
	r.models(d, c)
	r.limits(d, c)
	if len(d.Policy.Capabilities) == 0 {
		r.fault("policy.capabilities", "is missing; list the capabilities that may be asked for")
	}
	c.Capabilities = capabilitiesOf(d.Policy.Capabilities, d.Policy.Open, c.Sensors, "")
	for i, capability := range c.Capabilities {
		if len(capability.Readings) == 0 {
			r.fault(fmt.Sprintf("policy.capabilities[%d]", i), "no sensor has the capability %s", capability.Name)
		}
	}
	for i, open := range d.Policy.Open {
		known := false
		for _, name := range d.Policy.Capabilities {
			known = known || name == open
		}
		if !known {
			r.fault(fmt.Sprintf("policy.open[%d]", i), "%s isn't among policy.capabilities", open)
		}
	}
	hello := wire.Hello{Device: "x", Capabilities: c.Capabilities}
	if hello.Validate() != nil {
		r.fault("policy.capabilities", "at most %d, each with at most %d readings", attributesMost, attributesMost)
	}
}

func (r *reader) models(d *document, c *Config) {
	allowed := modelsOf(c.Role)
	c.Policy.Models = d.Policy.Models
	if len(c.Policy.Models) == 0 {
		c.Policy.Models = allowed[:1]
	}
	for i, m := range c.Policy.Models {
		if !slices.Contains(allowed, m) {
			r.fault(fmt.Sprintf("policy.models[%d]", i), "must be %s", either(allowed))
		}
	}
}

func (r *reader) limits(d *document, c *Config) {
	l := &c.Policy.Limits
	l.PerPeriod = r.budget("policy.epsilon", d.Policy.Epsilon, "the most that is given in one period, e.g. 1")
	l.Period = r.duration("policy.per", d.Policy.Per, 24*time.Hour, time.Second)
	if l.Period > ledger.PeriodMax {
		r.fault("policy.per", "must be at most ten years")
	}
	if d.Policy.Lifetime == "none" {
		l.Lifetime = privacy.MaxBudget
		return
	}
	l.Lifetime = r.budget("policy.lifetime", d.Policy.Lifetime, "the most that is ever given, e.g. 365, or none for no such limit")
}

func (r *reader) budget(path, text, meaning string) privacy.Epsilon {
	m, err := privacy.ParseMicro(text)
	if err != nil || m <= 0 || privacy.Epsilon(m) > privacy.MaxBudget {
		r.fault(path, "must be a number from 0.000001 to 1000000: %s", meaning)
		return 0
	}
	return privacy.Epsilon(m)
}

func (r *reader) duration(path, text string, otherwise, least time.Duration) time.Duration {
	if text == "" {
		return otherwise
	}
	d, ok := parseDuration(text)
	if !ok || d < least {
		r.fault(path, "must be a duration of %v or more, e.g. 30s, 5m, 1h or 1d", least)
	}
	return d
}
