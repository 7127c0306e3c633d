package simulate

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// home is a simulated gateway: the release code of a real one, with a ledger in memory. It has the units of consecutive places.
type home struct {
	id    string
	voice collector.Voice
	first int // of its places
}

// gatewayAttribute is the attribute that the registry gives to a unit.
const gatewayAttribute = "gateway"

// settle makes units of the last places: the identity of each is its gateway's, a hyphen and a number, and it stands behind
// that gateway, as the server's registry will say.
func settle(places []indoor.Place, gateways, units int) []indoor.Place {
	out := append([]indoor.Place(nil), places...)
	own := len(out) - gateways*units
	for i := own; i < len(out); i++ {
		gateway := fmt.Sprint("home", (i-own)/units)
		p := &out[i]
		p.ID = fmt.Sprint(gateway, "-", (i-own)%units)
		p.Attributes = maps.Clone(p.Attributes)
		if p.Attributes == nil {
			p.Attributes = map[string]string{}
		}
		p.Attributes[gatewayAttribute] = gateway
	}
	return out
}

// open makes the gateways. Their noise comes from the library of real ones, which takes no seed.
func (f *Fleet) open() error {
	own := len(f.devices)
	for g := range f.config.Gateways {
		h := home{id: fmt.Sprint("home", g), first: own + g*f.config.Units}
		config := &collector.Config{Role: collector.RoleGateway}
		config.Device = h.id
		config.Policy = agent.Policy{Models: []string{agent.Gateway}, Limits: f.config.Policy}
		for u := range f.config.Units {
			attributes := maps.Clone(f.config.Places[h.first+u].Attributes)
			delete(attributes, gatewayAttribute)
			config.Units = append(config.Units, collector.Unit{Name: strconv.Itoa(u), Attributes: attributes, Capabilities: capabilities()})
		}
		book, err := ledger.NewBook(f.config.Policy)
		if err != nil {
			return fmt.Errorf("policy: %w", err)
		}
		h.voice, err = newCrew(collector.Given{Config: config, Software: software, Ledger: book, Random: rand.Reader})
		if err != nil {
			return fmt.Errorf("gateway %s: %w", h.id, err)
		}
		f.homes = append(f.homes, h)
	}
	return nil
}

// speaker is whoever says hello: a device, or a unit through its gateway. by is the subject's last token.
type speaker struct {
	by    string
	hello func() wire.Hello
	apply func(*wire.HelloReply) error
}

// speaker gives the one with this number: devices of their own first, then the units.
func (f *Fleet) speaker(i int) speaker {
	if i < len(f.devices) {
		d := f.devices[i]
		return speaker{
			by: d.Device(), hello: func() wire.Hello { return d.Hello(f.config.Clock.Now()) },
			apply: func(r *wire.HelloReply) error { _, err := d.ApplyReply(r); return err },
		}
	}
	i -= len(f.devices)
	h, unit := &f.homes[i/f.config.Units], i%f.config.Units
	return speaker{
		by: h.id, hello: func() wire.Hello { return h.voice.Hello(unit, f.config.Clock.Now()) },
		apply: func(r *wire.HelloReply) error {
			_, err := h.voice.ApplyReply(unit, r, f.config.Clock.Now())
			return err
		},
	}
}

// spokenFor is how many units a request with a release speaks for.
func spokenFor(request []byte) (units int) {
	_, _, n := protowire.ConsumeTag(request)
	if n < 0 {
		return 0
	}
	content, n := protowire.ConsumeBytes(request[n:])
	if n < 0 {
		return 0
	}
	r, err := wire.DecodeRelease(content)
	if err != nil {
		return 0
	}
	for i := range r.Parts {
		units += int(r.Parts[i].Units)
	}
	return units
}

// release asks every gateway about a window; the caller holds the lock. All units that are not offline have one reading in it.
func (f *Fleet) release(out []letter, ref string, window, windowMs int64) []letter {
	position := f.Position(windowMs, window)
	for i := range f.homes {
		h := &f.homes[i]
		if next, ok := h.voice.NextDue(ref, window-1); !ok || next != window {
			continue
		}
		h.voice.Listen(window * windowMs)
		f.summary.Due++
		for u := range f.config.Units {
			if place := h.first + u; !f.offline[place] {
				h.voice.Add(collector.Reading{
					Unit: strconv.Itoa(u), Capability: indoor.Capability, Reading: indoor.Reading, AtMs: window*windowMs + windowMs/2,
					Value: f.config.Places[place].Reading(position),
				})
			}
		}
		request, outcome, _ := h.voice.Report(nil, ref, window)
		switch {
		case outcome == agent.Reported:
			out = append(out, letter{device: h.id, request: request, units: spokenFor(request)})
		case outcome == agent.NoReadings:
			f.summary.Silent++
		case outcome.Refused():
			f.summary.Refused++
		}
	}
	return out
}
