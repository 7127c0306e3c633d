package wire

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// entriesMost bounds attributes, capabilities, readings of a capability and models.
const entriesMost = 32

// countersMost bounds the counters of a hello.
const countersMost = 256

// Capability is the message quadrat.v1.Capability.
type Capability struct {
	Name     string   // dotted, e.g. "sense.temperature"
	Readings []string // names of the readings; empty stands for the last part of Name
	Open     bool     // not personal, by the device's own policy
}

// Limits is the message quadrat.v1.Limits: the most that the device's own policy gives.
type Limits struct {
	EpsilonMicro  uint64   // in any span of PeriodMs, in millionths
	PeriodMs      uint64   // sliding period
	LifetimeMicro uint64   // for ever, in millionths; 0 for no such limit
	Models        []string // trust models: "local", "none"
}

// Hello is the message quadrat.v1.Hello.
type Hello struct {
	Device         string
	Attributes     map[string]string
	Capabilities   []Capability
	Limits         Limits
	PlanSetVersion uint64
	Gateway        string
	Leaving        bool
	ClockMs        int64
	Software       string
	Counters       map[string]uint64
	Session        uint32   // random number of this run of the program; 0 for none
	Mechanisms     []string // those that the device knows and not every version does
}

// HelloReply is the message quadrat.v1.HelloReply.
type HelloReply struct {
	Error          string // why the device was refused; empty when it is in the fleet
	ServerTimeMs   int64
	PlanSetVersion uint64
	Plans          []*DevicePlan // those published after the version that the hello named
	Live           []string      // references of all live kappas
	More           bool          // the next hello, which should be said soon, gets further plans
}

// Validate returns ErrDevice or ErrHello when the hello breaks its law: at most 32 attributes and capabilities, none
// without a name.
func (h *Hello) Validate() error {
	if !token(h.Device) || (h.Gateway != "" && !token(h.Gateway)) {
		return ErrDevice
	}
	if len(h.Attributes) > entriesMost || len(h.Capabilities) > entriesMost || len(h.Counters) > countersMost ||
		len(h.Limits.Models) > entriesMost || len(h.Mechanisms) > entriesMost {
		return ErrHello
	}
	if _, ok := h.Attributes[""]; ok {
		return ErrHello
	}
	for _, c := range h.Capabilities {
		if c.Name == "" || len(c.Readings) > entriesMost || slices.Contains(c.Readings, "") {
			return ErrHello
		}
	}
	return nil
}

// Append encodes the hello behind b, maps in the order of their keys, so that equal hellos are equal bytes.
func (h *Hello) Append(b []byte) []byte {
	b = appendText(b, 1, h.Device)
	for _, k := range slices.Sorted(maps.Keys(h.Attributes)) {
		b = appendMessage(b, 2, appendText(appendText(nil, 1, k), 2, h.Attributes[k]))
	}
	for i := range h.Capabilities {
		c := &h.Capabilities[i]
		b = appendMessage(b, 3, appendBool(appendTexts(appendText(nil, 1, c.Name), 2, c.Readings), 3, c.Open))
	}
	b = appendMessage(b, 4, h.Limits.append(nil))
	b = appendVarint(b, 5, h.PlanSetVersion)
	b = appendText(b, 6, h.Gateway)
	b = appendBool(b, 7, h.Leaving)
	b = appendVarint(b, 8, uint64(h.ClockMs))
	b = appendText(b, 9, h.Software)
	for _, k := range slices.Sorted(maps.Keys(h.Counters)) {
		b = appendMessage(b, 10, appendVarint(appendText(nil, 1, k), 2, h.Counters[k]))
	}
	b = appendVarint(b, 11, uint64(h.Session))
	return appendTexts(b, 12, h.Mechanisms)
}

func (l *Limits) append(b []byte) []byte {
	b = appendVarint(b, 1, l.EpsilonMicro)
	b = appendVarint(b, 2, l.PeriodMs)
	b = appendVarint(b, 3, l.LifetimeMicro)
	return appendTexts(b, 4, l.Models)
}

// DecodeHello reads a hello. It checks form; call Validate for the law.
func DecodeHello(b []byte) (Hello, error) {
	var h Hello
	if len(b) > messageMost {
		return h, ErrSize
	}
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.text(&h.Device)
		case 2:
			f.entry(func(e *fields) { f.put(&h.Attributes, e) })
		case 3:
			message(&f, decodeCapability, func(c Capability) { h.Capabilities = append(h.Capabilities, c) })
		case 4:
			message(&f, decodeLimits, func(l Limits) { h.Limits = l })
		case 5:
			f.uint64(&h.PlanSetVersion)
		case 6:
			f.text(&h.Gateway)
		case 7:
			f.bool(&h.Leaving)
		case 8:
			f.int64(&h.ClockMs)
		case 9:
			f.text(&h.Software)
		case 10:
			f.entry(func(e *fields) { f.count(&h.Counters, e) })
		case 11:
			f.uint32(&h.Session)
		case 12:
			f.texts(&h.Mechanisms)
		}
	}
	return h, f.err
}

// entry opens an entry of a map.
func (f *fields) entry(read func(*fields)) {
	if f.typ == protowire.BytesType {
		read(&fields{rest: f.content})
	}
}

func (f *fields) put(to *map[string]string, e *fields) {
	var key, value string
	for e.next() {
		switch e.num {
		case 1:
			e.text(&key)
		case 2:
			e.text(&value)
		}
	}
	if e.err != nil {
		f.fail(e.err)
		return
	}
	if *to == nil {
		*to = make(map[string]string)
	}
	(*to)[key] = value
}

func (f *fields) count(to *map[string]uint64, e *fields) {
	var key string
	var value uint64
	for e.next() {
		switch e.num {
		case 1:
			e.text(&key)
		case 2:
			e.uint64(&value)
		}
	}
	if e.err != nil {
		f.fail(e.err)
		return
	}
	if *to == nil {
		*to = make(map[string]uint64)
	}
	(*to)[key] = value
}

func decodeCapability(b []byte) (Capability, error) {
	var c Capability
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.text(&c.Name)
		case 2:
			f.texts(&c.Readings)
		case 3:
			f.bool(&c.Open)
		}
	}
	return c, f.err
}

func decodeLimits(b []byte) (Limits, error) {
	var l Limits
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.uint64(&l.EpsilonMicro)
		case 2:
			f.uint64(&l.PeriodMs)
		case 3:
			f.uint64(&l.LifetimeMicro)
		case 4:
			f.texts(&l.Models)
		}
	}
	return l, f.err
}

// Append encodes the reply behind b.
func (r *HelloReply) Append(b []byte) []byte {
	b = appendText(b, 1, r.Error)
	b = appendVarint(b, 2, uint64(r.ServerTimeMs))
	b = appendVarint(b, 3, r.PlanSetVersion)
	for _, p := range r.Plans {
		b = appendMessage(b, 4, p.Append(nil))
	}
	b = appendTexts(b, 5, r.Live)
	return appendBool(b, 6, r.More)
}

// DecodeHelloReply reads a reply. It checks form; the plans' law is checked by their Validate.
func DecodeHelloReply(b []byte) (HelloReply, error) {
	var r HelloReply
	if len(b) > messageMost {
		return r, ErrSize
	}
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.text(&r.Error)
		case 2:
			f.int64(&r.ServerTimeMs)
		case 3:
			f.uint64(&r.PlanSetVersion)
		case 4:
			message(&f, DecodeDevicePlan, func(p *DevicePlan) { r.Plans = append(r.Plans, p) })
		case 5:
			f.texts(&r.Live)
		case 6:
			f.bool(&r.More)
		}
	}
	return r, f.err
}
