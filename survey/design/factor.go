package design

// Factor is a column of labels, coded. The zero value is an empty column.
type Factor struct {
	Codes  []int32  // for each row an index into Levels, or −1 where the label is missing
	Levels []string // distinct
}

// NewFactor codes labels in the order in which they first appear. An empty label is a missing one.
func NewFactor(labels []string) *Factor {
	f := &Factor{Codes: make([]int32, len(labels))}
	index := make(map[string]int32)
	for i, label := range labels {
		if label == "" {
			f.Codes[i] = -1
			continue
		}
		code, ok := index[label]
		if !ok {
			code = int32(len(f.Levels))
			index[label] = code
			f.Levels = append(f.Levels, label)
		}
		f.Codes[i] = code
	}
	return f
}

// name returns the label of a code, and "" when there is no factor.
func (f *Factor) name(code int32) string {
	if f == nil || code < 0 {
		return ""
	}
	return f.Levels[code]
}

// check reports the first row whose label is missing.
func (f *Factor) check(rows, stage int, role Role) error {
	if f == nil {
		return nil
	}
	if len(f.Codes) != rows {
		return &Error{Code: Invalid, Role: role, Stage: stage, Detail: "not as long as the table"}
	}
	for i, code := range f.Codes {
		if code < 0 {
			return &Error{Code: Missing, Role: role, Stage: stage, Row: i + 1}
		}
	}
	return nil
}
