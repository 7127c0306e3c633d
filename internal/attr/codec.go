package attr

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed says that bytes do not hold a Predicate.
var ErrMalformed = errors.New("predicate: malformed")

// depthMost bounds how deep conditions may nest, so that a hostile plan can't exhaust a device's stack.
const depthMost = 64

// Append encodes p as the message quadrat.v1.Predicate behind b.
func (p *Predicate) Append(b []byte) []byte {
	b = appendString(b, 1, p.Op)
	for _, a := range p.Args {
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendBytes(b, a.Append(nil))
	}
	b = appendString(b, 3, p.Attribute)
	for _, v := range p.Values {
		lit := appendString(nil, 1, v.Text)
		if v.Number {
			lit = protowire.AppendTag(lit, 2, protowire.VarintType)
			lit = protowire.AppendVarint(lit, 1)
		}
		b = protowire.AppendTag(b, 4, protowire.BytesType)
		b = protowire.AppendBytes(b, lit)
	}
	return b
}

// Decode reads the message quadrat.v1.Predicate. Every Predicate that it returns can be matched without a panic; one
// that can't gives ErrMalformed.
func Decode(b []byte) (*Predicate, error) { return decode(b, 0) }

func decode(b []byte, depth int) (*Predicate, error) {
	if depth > depthMost {
		return nil, ErrMalformed
	}
	p := &Predicate{}
	err := fields(b, func(num protowire.Number, content []byte) error {
		switch num {
		case 1:
			p.Op = string(content)
		case 2:
			a, err := decode(content, depth+1)
			if err != nil {
				return err
			}
			p.Args = append(p.Args, a)
		case 3:
			p.Attribute = string(content)
		case 4:
			l, err := decodeLiteral(content)
			if err != nil {
				return err
			}
			p.Values = append(p.Values, l)
		}
		return nil
	})
	if err == nil && !p.sound() {
		err = ErrMalformed
	}
	return p, err
}

func (p *Predicate) sound() bool {
	switch p.Op {
	case "and", "or":
		return len(p.Args) > 0
	case "not":
		return len(p.Args) == 1
	case "null":
		return p.Attribute != ""
	case "in":
		return p.Attribute != "" && len(p.Values) > 0
	case "=", "<>", "<", "<=", ">", ">=", "like":
		return p.Attribute != "" && len(p.Values) == 1
	}
	return false
}

func decodeLiteral(b []byte) (Literal, error) {
	var l Literal
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return l, ErrMalformed
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, typ, b)
		if size < 0 {
			return l, ErrMalformed
		}
		switch {
		case num == 1 && typ == protowire.BytesType:
			text, _ := protowire.ConsumeBytes(b)
			l.Text = string(text)
		case num == 2 && typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			l.Number = v != 0
		}
		b = b[size:]
	}
	return l, nil
}

// fields calls yield for every length-delimited field of a message and passes over the rest.
func fields(b []byte, yield func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, typ, b)
		if size < 0 {
			return ErrMalformed
		}
		if typ == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(b)
			if err := yield(num, content); err != nil {
				return err
			}
		}
		b = b[size:]
	}
	return nil
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendString(b, s)
}
