package survey

import "github.com/quadrat-dev/quadrat/survey/internal/packed"

// The states of this package are written as docs/format/states.md says. AppendBinary refuses a state that no scores have,
// UnmarshalBinary bytes that AppendBinary would not have written, both with an [*Error] of the code Invalid that says what
// was wrong. A receiver of refused bytes stays as it was.

// write appends header and body, unless the state has a fault.
func write(b []byte, k packed.Kind, fault string, body func([]byte) []byte) ([]byte, error) {
	if fault != "" {
		return b, &Error{Code: Invalid, Detail: "state of " + k.String() + ": " + fault}
	}
	return body(packed.Begin(b, k)), nil
}

// keep takes a state that was read, unless there was a fault.
func keep[S interface{ fault() string }](into *S, read S, r *packed.Reader) error {
	if fault := read.fault(); fault != "" {
		r.Fail("%s", fault)
	}
	if err := r.Close(); err != nil {
		return &Error{Code: Invalid, Detail: err.Error()}
	}
	*into = read
	return nil
}

// fault says what no scores have.
func (m Moments) fault() string {
	switch {
	case m.Count < 0 || !finite(m.Mean, m.M2, m.Noise) || m.M2 < 0 || m.Noise < 0:
		return "a count or a square below 0, or no number"
	case m.Count == 0 && m != Moments{}:
		return "sums of no scores"
	case m.Count == 1 && m.M2 != 0:
		return "one score that differs from itself"
	}
	return ""
}

// AppendBinary appends the state's bytes. Its errors are *[Error] with the code Invalid.
func (m Moments) AppendBinary(b []byte) ([]byte, error) {
	return write(b, packed.Moments, m.fault(), m.append)
}

// MarshalBinary returns the state's bytes.
func (m Moments) MarshalBinary() ([]byte, error) { return m.AppendBinary(nil) }

// UnmarshalBinary reads a state. Its errors are *[Error] with the code Invalid.
func (m *Moments) UnmarshalBinary(data []byte) error {
	r := packed.Open(packed.Moments, data)
	return keep(m, readMoments(r), r)
}

func (m Moments) append(b []byte) []byte {
	return packed.AppendSize(packed.AppendFloat(packed.AppendCount(b, m.Count), m.Mean), m.M2, m.Noise)
}

func readMoments(r *packed.Reader) Moments {
	return Moments{Count: r.Count("count"), Mean: r.Float("mean"), M2: r.Size("M2"), Noise: r.Size("noise")}
}

// fault says what no scores have. Whether tails fit their moments is for the estimators to say.
func (t Tails) fault() string {
	if !finite(t.M3, t.M4) || t.M4 < 0 {
		return "a fourth power below 0, or no number"
	}
	return ""
}

// AppendBinary appends the state's bytes. Its errors are *[Error] with the code Invalid.
func (t Tails) AppendBinary(b []byte) ([]byte, error) {
	return write(b, packed.Tails, t.fault(), func(b []byte) []byte { return packed.AppendSize(packed.AppendFloat(b, t.M3), t.M4) })
}

// MarshalBinary returns the state's bytes.
func (t Tails) MarshalBinary() ([]byte, error) { return t.AppendBinary(nil) }

// UnmarshalBinary reads a state. Its errors are *[Error] with the code Invalid.
func (t *Tails) UnmarshalBinary(data []byte) error {
	r := packed.Open(packed.Tails, data)
	return keep(t, Tails{M3: r.Float("M3"), M4: r.Size("M4")}, r)
}

// fault says what no cluster has.
func (c Cluster) fault() string {
	if c.Size < c.Responses || c.Responses < c.Domain.Count {
		return "size ≥ responses ≥ domain is broken"
	}
	return c.Domain.fault()
}

// AppendBinary appends the state's bytes. Its errors are *[Error] with the code Invalid.
func (c Cluster) AppendBinary(b []byte) ([]byte, error) {
	return write(b, packed.Cluster, c.fault(), func(b []byte) []byte {
		return c.Domain.append(packed.AppendCount(packed.AppendCount(b, c.Size), c.Responses))
	})
}

// MarshalBinary returns the state's bytes.
func (c Cluster) MarshalBinary() ([]byte, error) { return c.AppendBinary(nil) }

// UnmarshalBinary reads a state. Its errors are *[Error] with the code Invalid.
func (c *Cluster) UnmarshalBinary(data []byte) error {
	r := packed.Open(packed.Cluster, data)
	return keep(c, Cluster{Size: r.Count("size"), Responses: r.Count("responses"), Domain: readMoments(r)}, r)
}

// fault says what no windows have.
func (r Running) fault() string {
	switch {
	case r.Windows < 0 || !finite(r.Mean, r.Variance) || r.Variance < 0:
		return "a count or a variance below 0, or no number"
	case r.Windows == 0 && r != Running{}:
		return "sums of no windows"
	}
	return ""
}

// AppendBinary appends the state's bytes. Its errors are *[Error] with the code Invalid.
func (r Running) AppendBinary(b []byte) ([]byte, error) {
	return write(b, packed.Running, r.fault(), func(b []byte) []byte {
		return packed.AppendSize(packed.AppendFloat(packed.AppendCount(b, r.Windows), r.Mean), r.Variance)
	})
}

// MarshalBinary returns the state's bytes.
func (r Running) MarshalBinary() ([]byte, error) { return r.AppendBinary(nil) }

// UnmarshalBinary reads a state. Its errors are *[Error] with the code Invalid.
func (r *Running) UnmarshalBinary(data []byte) error {
	from := packed.Open(packed.Running, data)
	return keep(r, Running{Windows: from.Count("windows"), Mean: from.Float("mean"), Variance: from.Size("variance")}, from)
}
