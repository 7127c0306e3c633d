package script

import (
	"strings"
	"time"
)

// Script is one parsed query. What was not written is nil or zero; [Script.Bind] fills it. Treat it as read only.
type Script struct {
	Name    Ident        // after KAPPA; Text is empty when not written
	Select  []*Statistic // at least one
	From    Capability
	Where   *Predicate // nil for every device
	GroupBy []Ident    // attributes of the cells
	Sample  *Sample    // nil when not written
	Window  Window
	Privacy *Privacy // nil when not written
}

// Ident is a name: of a kappa, a statistic, a reading or an attribute.
type Ident struct {
	Pos  Pos
	Text string // without quotes
}

// Capability is the dotted name after FROM.
type Capability struct {
	Pos   Pos
	Parts []string // at least one
}

// Number is a decimal or a parameter that stands for one.
type Number struct {
	Pos   Pos
	Param string  // name after $; empty for a decimal
	Value float64 // finite; of a parameter only once it is bound
	Bound bool    // true for a decimal and for a bound parameter
}

// Duration is a positive span of whole milliseconds.
type Duration struct {
	Pos   Pos
	Value time.Duration
}

// Statistic is one entry of the SELECT list.
type Statistic struct {
	Pos  Pos
	Kind string     // "mean", "total", "ratio", "variance", "quantile", "median", "histogram", "frequency", "distribution", wordProportion, "count"
	Args []Argument // two for ratio, else one
	// Comparison is "=", "<>", "<", "<=", ">" or ">=" for proportion and count, empty otherwise.
	Comparison string
	// Number is the right-hand side of the comparison, p of a quantile or the bins of a histogram or, where written, of a
	// distribution; nil otherwise.
	Number *Number
	As     Ident // Text is empty when not written
}

// Argument is a reading or a summary of it.
type Argument struct {
	Pos     Pos
	Summary string // "avg", "last", "min", "max", "sum", "count"; empty when not written
	Reading Ident
}

// Literal is a constant of a predicate.
type Literal struct {
	Pos    Pos
	Text   string  // of a string
	Number *Number // of a number; nil for a string
}

// Predicate is a condition on attributes. Op is "and" or "or" (two or more Args, none of the same Op), "not" (one
// Arg), "=", "<>", "<", "<=", ">", ">=", "in", "not in", "like", "not like", "null" or "not null".
type Predicate struct {
	Pos       Pos
	Op        string
	Args      []*Predicate
	Attribute Ident
	Values    []Literal
}

// Size says how the panel's size is asked for.
type Size string

// The forms of SAMPLE.
const (
	All     Size = "ALL"
	Devices Size = "DEVICES"
	Percent Size = "PERCENT"
	Margin  Size = "MARGIN"
)

// Rotation says whether panels move.
type Rotation string

// The rotations; the empty one stands for not written.
const (
	Rotating Rotation = "ROTATING"
	Fixed    Rotation = "FIXED"
)

// Allocation says how a panel is shared among strata.
type Allocation string

// The allocations; the empty one stands for not written.
const (
	Proportional Allocation = "PROPORTIONAL"
	Equal        Allocation = "EQUAL"
	Neyman       Allocation = "NEYMAN"
	Power        Allocation = "POWER"
)

// Sample is the SAMPLE clause.
type Sample struct {
	Pos         Pos
	Size        Size
	Number      *Number // devices, percent or margin; nil for ALL
	PerCell     bool    // MARGIN holds in every cell
	PerCellPos  Pos
	Confidence  *Number // nil when not written
	Stratified  []Ident // empty when not written
	Allocate    Allocation
	AllocatePos Pos
	Exponent    *Number // of POWER; nil otherwise
	Clustered   Ident   // Text is empty when not written
	Clusters    *Number // nil when not written
	Rotation    Rotation
	RotationPos Pos
}

// Window is the WINDOW clause.
type Window struct {
	Pos    Pos
	Length Duration
	Every  *Duration // nil when not written
	Grace  *Duration // nil when not written
}

// Pane is how long a device answers at once, EVERY: the whole window where it isn't written.
func (w Window) Pane() time.Duration {
	if w.Every == nil {
		return w.Length.Value
	}
	return w.Every.Value
}

// Panes is how many panes one window spans, 1 or more in a checked script.
func (w Window) Panes() int64 { return int64(w.Length.Value / w.Pane()) }

// Model says who is trusted with raw readings.
type Model string

// The trust models.
const (
	None    Model = "NONE"
	Local   Model = "LOCAL"
	Gateway Model = "GATEWAY"
)

// Privacy is the PRIVACY clause.
type Privacy struct {
	Pos     Pos
	Model   Model
	Epsilon *Number   // nil for NONE
	Per     *Duration // nil when not written, for PER VALUE, and for NONE
	// PerValue says that epsilon is spent once for each category that a device is ever found in, not once a period.
	PerValue    bool
	PerValuePos Pos
	Report      *Number // epsilon of one report, with PerValue; nil when not written
	Lo, Hi      *Number // both or neither
}

// Name gives the dotted capability as devices announce it.
func (c Capability) Name() string {
	return strings.Join(c.Parts, ".")
}

// SummaryName is the summary, avg when none was written.
func (a Argument) SummaryName() string {
	if a.Summary == "" {
		return wordAvg
	}
	return a.Summary
}

// Binned tells whether the statistic is about categories: of all such but a distribution devices answer with some of them.
func (s *Statistic) Binned() bool {
	switch s.Kind {
	case wordHistogram, wordFrequency, wordQuantile, wordMedian, wordShape:
		return true
	}
	return false
}

// SummaryOf is the summary that an argument of the statistic asks for: the one that was written, else last for a
// frequency, whose numbers are names, and avg for all others.
func (s *Statistic) SummaryOf(a Argument) string {
	if a.Summary == "" && s.Kind == wordFrequency {
		return wordLast
	}
	return a.SummaryName()
}

// Name is what results call the statistic: the name after AS, or its canonical text.
func (s *Statistic) Name() string {
	if s.As.Text != "" {
		return s.As.Text
	}
	return s.call()
}

// Parts gives the names of the two parts of a ratio, in the order of its arguments, each with its word; nothing for other
// statistics. Devices and stored reports know the parts, results the ratio.
func (s *Statistic) Parts() []Part {
	if s.Kind != wordRatio {
		return nil
	}
	return []Part{{s.Name() + " numerator", "numerator"}, {s.Name() + " denominator", "denominator"}}
}

// Part is one of the two means of a ratio.
type Part struct {
	Name string // of the ratio, a space, and the word
	Word string // numerator or denominator
}
