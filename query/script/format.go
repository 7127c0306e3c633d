package script

import (
	"math"
	"strconv"
	"strings"
)

// String prints the script in its canonical form, one clause a line. Parsing it gives an equal tree, but for positions.
func (s *Script) String() string {
	var b strings.Builder
	if s.Name.Text != "" {
		b.WriteString("KAPPA " + s.Name.String() + " AS\n")
	}
	for i, stat := range s.Select {
		if i == 0 {
			b.WriteString("SELECT ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(stat.String())
	}
	b.WriteString("\nFROM " + s.From.String())
	if s.Where != nil {
		b.WriteString("\nWHERE " + s.Where.String())
	}
	if len(s.GroupBy) > 0 {
		b.WriteString("\nGROUP BY " + join(s.GroupBy))
	}
	if s.Sample != nil {
		b.WriteString("\n" + s.Sample.String())
	}
	b.WriteString("\n" + s.Window.String())
	if s.Privacy != nil {
		b.WriteString("\n" + s.Privacy.String())
	}
	b.WriteByte('\n')
	return b.String()
}

// String prints the name, in double quotes where it needs them.
func (i Ident) String() string {
	bare := i.Text != "" && wordStart([]rune(i.Text)[0]) && wordLength(i.Text) == len(i.Text) && !isReserved(i.Text)
	if bare {
		return i.Text
	}
	return `"` + strings.ReplaceAll(i.Text, `"`, `""`) + `"`
}

func join(names []Ident) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = n.String()
	}
	return strings.Join(parts, ", ")
}

// String prints the capability with dots between its parts.
func (c Capability) String() string {
	parts := make([]string, len(c.Parts))
	for i, p := range c.Parts {
		parts[i] = Ident{Text: p}.String()
	}
	return strings.Join(parts, ".")
}

// String prints the parameter, or the shortest decimal that gives the number again.
func (n *Number) String() string {
	if n.Param != "" {
		return "$" + n.Param
	}
	return decimal(n.Value)
}

func decimal(v float64) string {
	form := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-7 || a >= 1e15) {
		form = 'g'
	}
	return strconv.FormatFloat(v, form, -1, 64)
}

// String prints the duration in the largest unit that divides it.
func (d Duration) String() string {
	for _, u := range units() {
		if d.Value%u.span == 0 {
			return strconv.FormatInt(int64(d.Value/u.span), 10) + u.name
		}
	}
	return "0ms"
}

// String prints the statistic with its name after AS.
func (s *Statistic) String() string {
	if s.As.Text == "" {
		return s.call()
	}
	return s.call() + " AS " + s.As.String()
}

func (s *Statistic) call() string {
	args := make([]string, len(s.Args))
	for i, a := range s.Args {
		args[i] = a.text()
	}
	text := s.Kind + "(" + strings.Join(args, ", ")
	switch {
	case s.Comparison != "":
		text += " " + s.Comparison + " " + s.Number.String()
	case s.Number != nil:
		text += ", " + s.Number.String()
	}
	return text + ")"
}

func (a Argument) text() string {
	if a.Summary == "" {
		return a.Reading.String()
	}
	return a.Summary + "(" + a.Reading.String() + ")"
}

// String prints the condition with the parentheses that it needs.
func (p *Predicate) String() string {
	switch p.Op {
	case "and", "or":
		parts := make([]string, len(p.Args))
		for i, a := range p.Args {
			parts[i] = a.String()
			if a.Op == "or" || a.Op == p.Op {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		return strings.Join(parts, " "+strings.ToUpper(p.Op)+" ")
	case opNot:
		if a := p.Args[0]; a.Op == "and" || a.Op == "or" {
			return "NOT (" + a.String() + ")"
		}
		return "NOT " + p.Args[0].String()
	case "null", opNotNull:
		return p.Attribute.String() + " IS " + strings.ToUpper(p.Op)
	case "in", "not in":
		parts := make([]string, len(p.Values))
		for i, v := range p.Values {
			parts[i] = v.String()
		}
		return p.Attribute.String() + " " + strings.ToUpper(p.Op) + " (" + strings.Join(parts, ", ") + ")"
	}
	return p.Attribute.String() + " " + strings.ToUpper(p.Op) + " " + p.Values[0].String()
}

// String prints the text in single quotes, or the number.
func (l Literal) String() string {
	if l.Number != nil {
		return l.Number.String()
	}
	return "'" + strings.ReplaceAll(l.Text, "'", "''") + "'"
}

// String prints the SAMPLE clause.
func (s *Sample) String() string {
	parts := []string{"SAMPLE"}
	switch s.Size {
	case All:
		parts = append(parts, "ALL")
	case Margin:
		parts = append(parts, "MARGIN "+s.Number.String())
	default:
		parts = append(parts, s.Number.String()+" "+string(s.Size))
	}
	if s.PerCell {
		parts = append(parts, "PER CELL")
	}
	if s.Confidence != nil && s.Size == Margin { // elsewhere it is the default and can't be written
		parts = append(parts, "CONFIDENCE "+s.Confidence.String())
	}
	if len(s.Stratified) > 0 {
		parts = append(parts, "STRATIFIED BY "+join(s.Stratified))
	}
	if s.Allocate != "" {
		parts = append(parts, "ALLOCATE "+string(s.Allocate))
	}
	if s.Exponent != nil {
		parts = append(parts, s.Exponent.String())
	}
	if s.Clustered.Text != "" {
		parts = append(parts, "CLUSTERED BY "+s.Clustered.String())
	}
	if s.Clusters != nil {
		parts = append(parts, s.Clusters.String()+" CLUSTERS")
	}
	if s.Rotation != "" {
		parts = append(parts, string(s.Rotation))
	}
	return strings.Join(parts, " ")
}

// String prints the WINDOW clause.
func (w Window) String() string {
	text := "WINDOW " + w.Length.String()
	if w.Every != nil {
		text += " EVERY " + w.Every.String()
	}
	if w.Grace != nil {
		text += " GRACE " + w.Grace.String()
	}
	return text
}

// String prints the PRIVACY clause.
func (p *Privacy) String() string {
	text := "PRIVACY " + string(p.Model)
	if p.Epsilon != nil {
		text += " EPSILON " + p.Epsilon.String()
	}
	if p.Per != nil {
		text += " PER " + p.Per.String()
	}
	if p.PerValue {
		text += " PER VALUE"
	}
	if p.Report != nil {
		text += " REPORT " + p.Report.String()
	}
	if p.Lo != nil {
		text += " BETWEEN " + p.Lo.String() + " AND " + p.Hi.String()
	}
	return text
}
