package fleet

import (
	"slices"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/attr"
)

// Capability is something that a device can measure.
type Capability struct {
	Name     string   // dotted, e.g. sense.temperature
	Readings []string // never empty: where the device named none, the last part of Name
	Open     bool     // the device's policy marks it as not personal
}

// Limits is the most that a device's own policy gives, over all kappas.
type Limits struct {
	EpsilonMicro  uint64   // most epsilon in any span of PeriodMs, in millionths
	PeriodMs      uint64   // length of the sliding period, in milliseconds
	LifetimeMicro uint64   // most epsilon for ever, in millionths; 0 for no such limit
	Models        []string // trust models that the device takes part in, sorted
}

// Row is a device with one set of attributes, capabilities and limits over the span [FromMs, UntilMs) of server time. A
// row that was handed out never changes: when it ends, another Row with its end takes its place in the registry. Maps,
// slices and limits are shared between rows and belong to the registry; readers must not change them.
type Row struct {
	ID         string            // identity
	Key        Key               // pseudonym
	Attributes map[string]string // public attributes; a missing one is absent. Behind a gateway also GatewayAttribute
	Gateway    string            // identity of the gateway that speaks for the device, or empty
	FromMs     int64             // first moment, in milliseconds from the UTC epoch
	UntilMs    int64             // end, exclusive; 0 for still in the frame

	attributes *attributeSet // where Attributes comes from
	profile    *profile      // capabilities and limits; nil for a row that no registry made
}

// Limits is the most that the device gives. It belongs to the registry; nil for a row that no registry made.
func (r *Row) Limits() *Limits {
	if r.profile == nil {
		return nil
	}
	return &r.profile.limits
}

// Mechanisms is what the device knows of the mechanisms that not every version does, sorted. It belongs to the registry.
func (r *Row) Mechanisms() []string {
	if r.profile == nil {
		return nil
	}
	return r.profile.mechanisms
}

// At tells whether the row is valid at a moment, in milliseconds from the UTC epoch.
func (r *Row) At(ms int64) bool { return r.FromMs <= ms && (r.UntilMs == 0 || ms < r.UntilMs) }

// ModelGateway is the trust model in which a gateway adds the noise, to sums over the units behind it.
const ModelGateway = "gateway"

// GatewayKey is the pseudonym of the gateway that speaks for the device, and 0 without one.
func (r *Row) GatewayKey() Key {
	if r.Gateway == "" || r.attributes == nil {
		return 0
	}
	return r.attributes.gateway
}

// Query says which rows a kappa can reach.
type Query struct {
	Capability string          // capability that is asked for; empty for any
	Readings   []string        // readings of it that are needed, all of them
	Where      *attr.Predicate // condition on attributes; nil for all
	Model      string          // trust model, "local", "gateway" or "none"; empty for any
	Mechanisms []string        // mechanisms that a device must have named, all of them
}

// reaches tells whether a profile satisfies the query but for WHERE: capability, readings, model and mechanisms. For the model
// none the capability must be open as well. The model gateway reaches units behind a gateway that take part in it, and of the
// devices that speak for themselves those that take part in local: they give the same epsilon under the stronger promise.
func (q *Query) reaches(p *profile, behind bool) bool {
	model := q.Model
	if model == ModelGateway && !behind {
		model = "local"
	}
	if model != "" && !slices.Contains(p.limits.Models, model) || !containsAll(p.mechanisms, q.Mechanisms) {
		return false
	}
	if q.Capability == "" {
		return true
	}
	for _, c := range p.capabilities {
		if c.Name == q.Capability {
			return (q.Model != "none" || c.Open) && containsAll(c.Readings, q.Readings)
		}
	}
	return false
}

func containsAll(have, want []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// lastPart is what stands behind the last dot of a capability's name.
func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
