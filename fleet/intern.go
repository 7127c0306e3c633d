package fleet

import (
	"slices"
	"strings"
	"sync"
)

// attributeSet is one combination of attributes, shared by all rows that have it.
type attributeSet struct {
	values  map[string]string
	gateway Key    // of the attribute gateway; 0 without
	id      string // canonical form, the key in the pool
	rows    int    // rows that hold it; guarded by pool.mu
}

// profile is one combination of capabilities, limits and mechanisms, shared by all rows that have it.
type profile struct {
	capabilities []Capability
	limits       Limits
	mechanisms   []string
	id           string // canonical form, the key in the pool
	rows         int    // rows that hold it; guarded by pool.mu
}

// pool shares equal strings, attribute sets and profiles between devices: a fleet has few of each. It counts the rows
// that hold a set, and forgets one that no row holds.
type pool struct {
	keyer      Keyer
	mu         sync.Mutex // guards everything below
	strings    map[string]string
	pointers   map[string]*string
	attributes map[string]*attributeSet
	profiles   map[string]*profile
}

func newPool(k Keyer) *pool {
	return &pool{
		keyer:      k,
		strings:    map[string]string{},
		pointers:   map[string]*string{},
		attributes: map[string]*attributeSet{},
		profiles:   map[string]*profile{},
	}
}

// stringsMost bounds the pool of single strings, so that values that never repeat don't fill it.
const stringsMost = 1 << 16

// share returns the pooled twin of s. The caller holds mu.
func (p *pool) share(s string) string {
	if t, ok := p.strings[s]; ok {
		return t
	}
	if len(p.strings) >= stringsMost {
		clear(p.strings)
	}
	s = strings.Clone(s)
	p.strings[s] = s
	return s
}

// text shares one string.
func (p *pool) text(s string) string {
	if s == "" {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.share(s)
}

// pointer shares one string; nil stands for an empty one.
func (p *pool) pointer(s string) *string {
	if s == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if shared, ok := p.pointers[s]; ok {
		return shared
	}
	if len(p.pointers) >= stringsMost {
		clear(p.pointers)
	}
	s = p.share(s)
	p.pointers[s] = &s
	return &s
}

// hold returns the shared sets of an announcement and counts one more row for each.
func (p *pool) hold(a *announcement) (*attributeSet, *profile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.attributes[a.attributesID]
	if set == nil {
		set = &attributeSet{values: make(map[string]string, len(a.attributes)), id: a.attributesID}
		for k, v := range a.attributes {
			set.values[p.share(k)] = p.share(v)
		}
		if gateway := a.attributes[GatewayAttribute]; gateway != "" {
			set.gateway = p.keyer.Key(gateway)
		}
		p.attributes[set.id] = set
	}
	prof := p.profiles[a.profileID]
	if prof == nil {
		prof = &profile{id: a.profileID, limits: a.limits, mechanisms: a.mechanisms}
		for _, c := range a.capabilities {
			c.Name = p.share(c.Name)
			c.Readings = slices.Clone(c.Readings)
			for i, r := range c.Readings {
				c.Readings[i] = p.share(r)
			}
			prof.capabilities = append(prof.capabilities, c)
		}
		p.profiles[prof.id] = prof
	}
	set.rows++
	prof.rows++
	return set, prof
}

// release takes one row off the sets of row.
func (p *pool) release(row *Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	row.attributes.rows--
	if row.attributes.rows == 0 {
		delete(p.attributes, row.attributes.id)
	}
	row.profile.rows--
	if row.profile.rows == 0 {
		delete(p.profiles, row.profile.id)
	}
}

// capabilities calls yield for every capability that some row has, in no order.
func (p *pool) capabilities(yield func(Capability)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, prof := range p.profiles {
		for _, c := range prof.capabilities {
			yield(c)
		}
	}
}
