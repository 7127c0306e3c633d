package script

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Bounds of what a script may ask for.
const (
	statisticsMax = 16
	attributesMax = 8
	// WindowLeast is the shortest window.
	WindowLeast = 100 * time.Millisecond
	windowMost  = 366 * 24 * time.Hour
	graceMost   = 7 * 24 * time.Hour // the default retention of reports
	// ShapeBinsMost is the most bins of a distribution.
	ShapeBinsMost = 256
	// EpsilonMost is the largest epsilon of a period.
	EpsilonMost = 20
	// PanesMost is the most panes that a window of EVERY spans.
	PanesMost = 1440
)

// Check holds the rules of meaning against a well-formed script and gives the first broken one, from the top, as an
// [*Error]. Numbers that are parameters without a value pass; [Script.Bind] checks again with the values.
func Check(s *Script) error {
	for _, rule := range []func(*Script) *Error{
		checkName, checkSelect, checkPrivate, checkGroupBy, checkSample, checkWindow, checkPrivacy, checkPerValue, checkBounds, checkGateway,
	} {
		if err := rule(s); err != nil {
			return err
		}
	}
	return nil
}

func checkName(s *Script) *Error {
	name := s.Name.Text
	if name == "" {
		return nil
	}
	ok := len(name) <= 64
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		ok = ok && (letter || i > 0 && (digit(r) || r == '_' || r == '-'))
	}
	if ok {
		return nil
	}
	return errorAt(s.Name.Pos, "a kappa's name stands in addresses: a letter, then up to 63 of a-z, A-Z, 0-9, _ and -",
		"%s can't be the name of a kappa", s.Name)
}

func checkSelect(s *Script) *Error {
	if len(s.Select) > statisticsMax {
		return errorAt(s.Select[statisticsMax].Pos, "deploy a second script; each statistic needs its own share of the devices",
			"a script has at most %d statistics", statisticsMax)
	}
	seen := map[string]bool{}
	for _, stat := range s.Select {
		name := stat.Name()
		if seen[name] {
			pos := stat.Pos
			if stat.As.Text != "" {
				pos = stat.As.Pos
			}
			return errorAt(pos, "give one of them another name with AS", "two statistics have the name %s", name)
		}
		seen[name] = true
		for _, part := range stat.Parts() {
			if seen[part.Name] {
				return errorAt(stat.Pos, "give one of them another name with AS", "two statistics have the name %s", part.Name)
			}
			seen[part.Name] = true
		}
		if err := checkStatistic(stat); err != nil {
			return err
		}
	}
	return nil
}

func checkStatistic(stat *Statistic) *Error {
	n := stat.Number
	if n == nil || !n.Bound {
		return nil
	}
	switch {
	case stat.Kind == wordQuantile && (n.Value <= 0 || n.Value >= 1):
		return errorAt(n.Pos, "write 0.9 for the value below which 90 percent lie",
			"expected a share between 0 and 1, found %s", decimal(n.Value))
	case stat.Kind == wordHistogram && (n.Value != math.Trunc(n.Value) || n.Value < 2 || n.Value > CategoriesMost):
		return errorAt(n.Pos, "", "expected a whole number of bins from 2 to 1024, found %s", decimal(n.Value))
	case stat.Kind == wordShape && (n.Value != math.Trunc(n.Value) || n.Value < 2 || n.Value > ShapeBinsMost):
		return errorAt(n.Pos, "leave the number out, and the planner chooses", "expected a whole number of bins from 2 to 256, found %s", decimal(n.Value))
	case stat.Comparison != "" || stat.Kind == wordQuantile:
		return checkMicro(n)
	}
	return nil
}

// checkMicro refuses a number that devices, which count in millionths, would round.
func checkMicro(n *Number) *Error {
	if n.Bound && math.Round(n.Value*1e6)/1e6 != n.Value {
		return errorAt(n.Pos, "round it", "%s has more than six decimals, which devices don't keep", decimal(n.Value))
	}
	return nil
}

// checkPrivate refuses readings where attributes belong.
func checkPrivate(s *Script) *Error {
	readings := map[string]bool{s.From.Parts[len(s.From.Parts)-1]: true}
	for _, stat := range s.Select {
		for _, a := range stat.Args {
			readings[a.Reading.Text] = true
		}
	}
	if err := checkPredicate(s.Where, readings); err != nil {
		return err
	}
	lists := map[string][]Ident{"GROUP BY": s.GroupBy}
	if s.Sample != nil {
		lists["STRATIFIED BY"] = s.Sample.Stratified
		if s.Sample.Clustered.Text != "" {
			lists["CLUSTERED BY"] = []Ident{s.Sample.Clustered}
		}
	}
	for _, clause := range []string{"GROUP BY", "STRATIFIED BY", "CLUSTERED BY"} {
		for _, a := range lists[clause] {
			if readings[a.Text] {
				return errorAt(a.Pos, "readings are private; name a public attribute, and ask proportion(…) about the reading",
					"%s is a reading and can't stand in %s", a, clause)
			}
		}
	}
	return nil
}

func checkPredicate(p *Predicate, readings map[string]bool) *Error {
	if p == nil {
		return nil
	}
	if readings[p.Attribute.Text] {
		hint := "readings are private; name a public attribute"
		if len(p.Values) == 1 && p.Values[0].Number != nil {
			hint = fmt.Sprintf("readings are private; ask proportion(%s %s %s)", p.Attribute, p.Op, p.Values[0])
		}
		return errorAt(p.Attribute.Pos, hint, "%s is a reading and can't stand in WHERE", p.Attribute)
	}
	for _, a := range p.Args {
		if err := checkPredicate(a, readings); err != nil {
			return err
		}
	}
	return nil
}

func checkGroupBy(s *Script) *Error { return checkAttributes(s.GroupBy, "GROUP BY") }

// checkAttributes refuses a name twice and too many of them.
func checkAttributes(list []Ident, clause string) *Error {
	for i, a := range list {
		if i >= attributesMax {
			return errorAt(a.Pos, "", "%s takes at most %d attributes", clause, attributesMax)
		}
		for _, b := range list[:i] {
			if a.Text == b.Text {
				return errorAt(a.Pos, "delete one of them", "%s stands twice in %s", a, clause)
			}
		}
	}
	return nil
}

func checkSample(s *Script) *Error {
	a := s.Sample
	if a == nil {
		return nil
	}
	if err := checkAttributes(a.Stratified, "STRATIFIED BY"); err != nil {
		return err
	}
	if err := checkSize(a); err != nil {
		return err
	}
	if a.Size == Margin {
		for _, stat := range s.Select {
			if stat.Kind == wordShape {
				return errorAt(stat.Pos, "ask for n DEVICES or x PERCENT, or for a histogram", "a distribution has no interval, so MARGIN has nothing to promise")
			}
		}
	}
	if a.PerCell && len(s.GroupBy) == 0 {
		return errorAt(a.PerCellPos, "add GROUP BY, or leave PER CELL out", "PER CELL needs cells")
	}
	if n := a.Confidence; n != nil && n.Bound && (n.Value <= 0 || n.Value >= 1) {
		hint := ""
		if n.Value > 1 && n.Value < 100 {
			hint = "write " + decimal(n.Value/100)
		}
		return errorAt(n.Pos, hint, "expected a confidence between 0 and 1, found %s", decimal(n.Value))
	}
	if a.Size == All && a.Allocate != "" && a.Allocate != Proportional {
		return errorAt(a.AllocatePos, "ask for n DEVICES, x PERCENT or MARGIN m, or leave ALLOCATE out",
			"SAMPLE ALL asks every device, so there is nothing to allocate")
	}
	if n := a.Exponent; n != nil && n.Bound && (n.Value < 0 || n.Value > 1) {
		return errorAt(n.Pos, "", "expected an exponent from 0 to 1, found %s", decimal(n.Value))
	}
	if n := a.Clusters; n != nil && n.Bound && (n.Value < 2 || n.Value != math.Trunc(n.Value)) {
		return errorAt(n.Pos, "", "expected a whole number of clusters, 2 or more, found %s", decimal(n.Value))
	}
	return nil
}

func checkSize(a *Sample) *Error {
	n := a.Number
	if n == nil || !n.Bound {
		return nil
	}
	switch {
	case a.Size == Devices && (n.Value < 2 || n.Value != math.Trunc(n.Value)):
		return errorAt(n.Pos, "an interval needs at least two", "expected a whole number of devices, 2 or more, found %s", decimal(n.Value))
	case a.Size == Percent && (n.Value <= 0 || n.Value > 100):
		return errorAt(n.Pos, "", "expected a percentage above 0 and up to 100, found %s", decimal(n.Value))
	case a.Size == Margin && n.Value <= 0:
		return errorAt(n.Pos, "a margin is the half-width of the interval", "expected a margin above 0, found %s", decimal(n.Value))
	}
	return nil
}

func checkWindow(s *Script) *Error {
	w := s.Window
	length := w.Length.Value
	if length < WindowLeast || length > windowMost {
		return errorAt(w.Length.Pos, "", "expected a window from 100ms to 366d, found %s", w.Length)
	}
	if w.Every != nil && (w.Every.Value > length || length%w.Every.Value != 0) {
		return errorAt(w.Every.Pos, "windows begin every EVERY and span a whole number of them",
			"EVERY %s doesn't divide the window of %s", w.Every, w.Length)
	}
	if w.Every != nil && w.Every.Value < WindowLeast {
		return errorAt(w.Every.Pos, "", "expected EVERY of 100ms or more, found %s", w.Every)
	}
	if n := w.Panes(); n > PanesMost {
		most := time.Duration(PanesMost)
		for length%most != 0 {
			most--
		}
		return errorAt(w.Every.Pos, "write EVERY "+Duration{Value: length / most}.String()+", or a shorter window",
			"a window of %s spans %d times EVERY %s, and may span %d", w.Length, n, w.Every, PanesMost)
	}
	if w.Grace != nil && w.Grace.Value > graceMost {
		return errorAt(w.Grace.Pos, "reports are kept for 7d", "expected a grace of at most 7d, found %s", w.Grace)
	}
	return nil
}

func checkPrivacy(s *Script) *Error {
	p := s.Privacy
	if p == nil {
		return checkPeriod(s, Duration{Pos: s.Window.Length.Pos, Value: DefaultPeriod})
	}
	if n := p.Epsilon; n != nil && n.Bound {
		switch {
		case n.Value <= 0:
			return errorAt(n.Pos, "1 is a common choice; smaller is more private", "epsilon must be above 0, found %s", decimal(n.Value))
		case n.Value < 1e-6:
			return errorAt(n.Pos, "", "epsilon is counted in millionths, found %s", decimal(n.Value))
		case n.Value > EpsilonMost:
			return errorAt(n.Pos, "beyond it the noise protects nobody; where readings are public, write PRIVACY NONE",
				"epsilon must be at most %d, found %s", EpsilonMost, decimal(n.Value))
		}
	}
	if p.Model == None || p.PerValue {
		return checkRange(p)
	}
	per := Duration{Pos: p.Pos, Value: DefaultPeriod}
	if p.Per != nil {
		per = *p.Per
	}
	if err := checkPeriod(s, per); err != nil {
		return err
	}
	return checkRange(p)
}

// checkPeriod demands that the privacy period is a whole number of windows, or of panes with EVERY.
func checkPeriod(s *Script, per Duration) *Error {
	window, word := s.Window.Pane(), "WINDOW"
	if s.Window.Panes() > 1 {
		word = "EVERY"
	}
	if per.Value%window == 0 {
		return nil
	}
	below := per.Value - per.Value%window
	var works []string
	for _, d := range []time.Duration{below, below + window} {
		if d > 0 {
			works = append(works, Duration{Value: d}.String())
		}
	}
	return errorAt(per.Pos, "the nearest that work: PER "+strings.Join(works, " or PER ")+
		nearestWindow(word, window, per.Value),
		"the period of %s is not a whole number of windows of %s", per, Duration{Value: window})
}

// nearestWindow names the longest window of whole seconds, up to the one asked for, that divides the period.
func nearestWindow(word string, window, period time.Duration) string {
	for count := period/window + 1; count <= period/time.Second && count < period/window+100_000; count++ {
		if period%count == 0 && (period/count)%time.Second == 0 {
			return ", or " + word + " " + Duration{Value: period / count}.String()
		}
	}
	return ""
}

func checkRange(p *Privacy) *Error {
	if p.Lo == nil {
		return nil
	}
	for _, n := range []*Number{p.Lo, p.Hi} {
		if err := checkMicro(n); err != nil {
			return err
		}
	}
	if !p.Lo.Bound || !p.Hi.Bound || p.Lo.Value < p.Hi.Value {
		return nil
	}
	hint := "the bounds must differ"
	if p.Lo.Value > p.Hi.Value {
		hint = fmt.Sprintf("write BETWEEN %s AND %s", p.Hi, p.Lo)
	}
	return errorAt(p.Lo.Pos, hint, "the lower bound %s is not below the upper bound %s", decimal(p.Lo.Value), decimal(p.Hi.Value))
}

// checkBounds demands bounds where a statistic can't be randomised without, or has no bins without.
func checkBounds(s *Script) *Error {
	p := s.Privacy
	if p != nil && p.Lo != nil {
		return checkWholes(s)
	}
	for _, stat := range s.Select {
		open := p != nil && p.Model == None
		switch {
		case stat.Kind == wordProportion || stat.Kind == wordCount || open && !stat.Binned():
		case open:
			return errorAt(stat.Pos, "add BETWEEN lo AND hi behind PRIVACY NONE; values outside count in the first or the last bin",
				"%s needs bounds and the script has none", stat.Kind)
		default:
			hint := "add BETWEEN lo AND hi behind PRIVACY …, e.g. BETWEEN 10 AND 40; values outside are clipped"
			if p == nil {
				hint = "add PRIVACY LOCAL EPSILON 1 PER 1d BETWEEN lo AND hi; values outside are clipped"
			}
			return errorAt(stat.Pos, hint, "%s needs bounds and the script has none", stat.Kind)
		}
	}
	return nil
}

// checkWholes demands bounds that are whole numbers where they are the first and the last category.
func checkWholes(s *Script) *Error {
	for _, stat := range s.Select {
		if stat.Kind != wordFrequency {
			continue
		}
		for _, n := range []*Number{s.Privacy.Lo, s.Privacy.Hi} {
			if n.Bound && n.Value != math.Trunc(n.Value) {
				return errorAt(n.Pos, "its categories are the whole numbers from the lower bound to the upper one",
					"frequency needs bounds that are whole numbers, found %s", decimal(n.Value))
			}
		}
	}
	return nil
}
