package fleet

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// The sizes that a hello may have.
const (
	attributesMost   = 32
	capabilitiesMost = 32
	readingsMost     = 32
	modelsMost       = 8
	mechanismsMost   = 32
	countersMost     = 64
	textMost         = 128 // bytes of a name or a value
)

// announcement is a hello that has been checked, in canonical form: equal announcements have equal ids.
type announcement struct {
	attributes   map[string]string
	capabilities []Capability
	limits       Limits
	mechanisms   []string // sorted
	attributesID string
	profileID    string
}

// GatewayAttribute is the attribute that the registry gives to every device behind a gateway: the gateway's identity. No device
// may announce it, so that nobody can put himself into another's cluster.
const GatewayAttribute = "gateway"

// check says which law of a hello that was said is broken first, or returns its canonical form.
func check(h *quadratv1.Hello) (*announcement, error) {
	if _, taken := h.GetAttributes()[GatewayAttribute]; taken {
		return nil, &Error{Code: Text, Detail: "the attribute gateway is the registry's own: it names the gateway that speaks for a device; rename yours"}
	}
	return canonical(h)
}

// canonical is check for a hello that may have been stored: before the attribute was reserved, devices could announce it.
func canonical(h *quadratv1.Hello) (*announcement, error) {
	if !ValidIdentity(h.GetDevice()) {
		return nil, &Error{Code: Identity, Detail: "a device is 1 to 64 characters of [A-Za-z0-9_-]"}
	}
	if h.GetGateway() != "" && !ValidIdentity(h.GetGateway()) {
		return nil, &Error{Code: Identity, Detail: "a gateway is 1 to 64 characters of [A-Za-z0-9_-]"}
	}
	if len(h.GetSoftware()) > textMost || !utf8.ValidString(h.GetSoftware()) {
		return nil, &Error{Code: Text, Detail: "software must be UTF-8 of at most 128 bytes"}
	}
	if len(h.GetCounters()) > countersMost {
		return nil, &Error{Code: Size, Detail: "more than 64 counters"}
	}
	for name := range h.GetCounters() {
		if err := checkText("name of a counter", name); err != nil {
			return nil, err
		}
	}
	a := &announcement{}
	if err := a.takeAttributes(h.GetAttributes(), h.GetGateway()); err != nil {
		return nil, err
	}
	if err := a.takeCapabilities(h.GetCapabilities()); err != nil {
		return nil, err
	}
	if err := a.takeLimits(h.GetLimits()); err != nil {
		return nil, err
	}
	if err := a.takeMechanisms(h.GetMechanisms()); err != nil {
		return nil, err
	}
	a.profileID = a.canonicalProfile()
	return a, nil
}

func checkText(what, s string) error {
	switch {
	case s == "":
		return &Error{Code: Text, Detail: what + " is empty"}
	case len(s) > textMost:
		return &Error{Code: Size, Detail: what + " is longer than 128 bytes"}
	case !utf8.ValidString(s):
		return &Error{Code: Text, Detail: what + " is not UTF-8"}
	case strings.IndexByte(s, 0) >= 0:
		return &Error{Code: Text, Detail: what + " holds a NUL"}
	case s == attr.Missing:
		return &Error{Code: Text, Detail: what + " is " + attr.Missing + ", which stands for a missing value"}
	}
	return nil
}

// takeAttributes keeps what is not empty, an empty value being a missing one, and adds the gateway.
func (a *announcement) takeAttributes(given map[string]string, gateway string) error {
	if len(given) > attributesMost {
		return &Error{Code: Size, Detail: "more than 32 attributes"}
	}
	a.attributes = make(map[string]string, len(given))
	for name, value := range given {
		if err := checkText("name of an attribute", name); err != nil {
			return err
		}
		if value == "" {
			continue
		}
		if err := checkText("value of an attribute", value); err != nil {
			return err
		}
		a.attributes[name] = value
	}
	if gateway != "" {
		a.attributes[GatewayAttribute] = gateway
	}
	var id strings.Builder
	for _, name := range slices.Sorted(maps.Keys(a.attributes)) {
		writeText(&id, name)
		writeText(&id, a.attributes[name])
	}
	a.attributesID = id.String()
	return nil
}

// takeCapabilities sorts by name; an empty list of readings stands for the last part of the name.
func (a *announcement) takeCapabilities(given []*quadratv1.Capability) error {
	if len(given) > capabilitiesMost {
		return &Error{Code: Size, Detail: "more than 32 capabilities"}
	}
	for _, g := range given {
		if err := checkText("name of a capability", g.GetName()); err != nil {
			return err
		}
		if len(g.GetReadings()) > readingsMost {
			return &Error{Code: Size, Detail: "more than 32 readings of one capability"}
		}
		readings := slices.Clone(g.GetReadings())
		if len(readings) == 0 {
			readings = []string{lastPart(g.GetName())}
		}
		for _, r := range readings {
			if err := checkText("name of a reading", r); err != nil {
				return err
			}
		}
		slices.Sort(readings)
		a.capabilities = append(a.capabilities, Capability{Name: g.GetName(), Readings: slices.Compact(readings), Open: g.GetOpen()})
	}
	slices.SortFunc(a.capabilities, func(x, y Capability) int { return strings.Compare(x.Name, y.Name) })
	for i := 1; i < len(a.capabilities); i++ {
		if a.capabilities[i].Name == a.capabilities[i-1].Name {
			return &Error{Code: Text, Detail: "a capability is named twice"}
		}
	}
	return nil
}

func (a *announcement) takeLimits(l *quadratv1.Limits) error {
	if len(l.GetModels()) > modelsMost {
		return &Error{Code: Size, Detail: "more than 8 trust models"}
	}
	models := slices.Clone(l.GetModels())
	for _, m := range models {
		if err := checkText("name of a trust model", m); err != nil {
			return err
		}
	}
	slices.Sort(models)
	a.limits = Limits{
		EpsilonMicro: l.GetEpsilonMicro(), PeriodMs: l.GetPeriodMs(),
		LifetimeMicro: l.GetLifetimeMicro(), Models: slices.Compact(models),
	}
	return nil
}

func (a *announcement) takeMechanisms(given []string) error {
	if len(given) > mechanismsMost {
		return &Error{Code: Size, Detail: "more than 32 mechanisms"}
	}
	for _, m := range given {
		if err := checkText("name of a mechanism", m); err != nil {
			return err
		}
	}
	a.mechanisms = slices.Compact(slices.Sorted(slices.Values(given)))
	return nil
}

func (a *announcement) canonicalProfile() string {
	var id strings.Builder
	for _, n := range []uint64{a.limits.EpsilonMicro, a.limits.PeriodMs, a.limits.LifetimeMicro, uint64(len(a.limits.Models))} {
		writeText(&id, strconv.FormatUint(n, 36))
	}
	for _, m := range a.limits.Models {
		writeText(&id, m)
	}
	writeText(&id, strconv.Itoa(len(a.mechanisms)))
	for _, m := range a.mechanisms {
		writeText(&id, m)
	}
	for _, c := range a.capabilities {
		writeText(&id, c.Name)
		writeText(&id, strconv.FormatBool(c.Open)+strconv.Itoa(len(c.Readings)))
		for _, r := range c.Readings {
			writeText(&id, r)
		}
	}
	return id.String()
}

// writeText writes a text behind its length, so that different lists never look the same.
func writeText(b *strings.Builder, s string) {
	b.WriteString(strconv.Itoa(len(s)))
	b.WriteByte(':')
	b.WriteString(s)
}
