package script

import (
	"iter"

	"github.com/quadrat-dev/quadrat/internal/attr"
)

// Attr gives the condition in the form that fleet, plan and device share. Nil gives nil. Parameters must be bound.
func (p *Predicate) Attr() *attr.Predicate {
	if p == nil {
		return nil
	}
	out := &attr.Predicate{Op: p.Op, Attribute: p.Attribute.Text}
	for _, a := range p.Args {
		out.Args = append(out.Args, a.Attr())
	}
	for _, v := range p.Values {
		l := attr.Literal{Text: v.Text}
		if v.Number != nil {
			l = attr.Literal{Text: decimal(v.Number.Value), Number: true}
		}
		out.Values = append(out.Values, l)
	}
	switch p.Op {
	case "not in", "not like", opNotNull:
		out.Op = p.Op[len("not "):]
		return &attr.Predicate{Op: opNot, Args: []*attr.Predicate{out}}
	}
	return out
}

// Attributes gives the attributes that the condition names, each as often as it stands there. Nil gives none.
func (p *Predicate) Attributes() iter.Seq[Ident] {
	return func(yield func(Ident) bool) { p.attributes(yield) }
}

func (p *Predicate) attributes(yield func(Ident) bool) bool {
	if p == nil {
		return true
	}
	if p.Attribute.Text != "" && !yield(p.Attribute) {
		return false
	}
	for _, a := range p.Args {
		if !a.attributes(yield) {
			return false
		}
	}
	return true
}
