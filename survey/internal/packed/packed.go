// Package packed is the frame in which the mergeable states of survey are written: a header that names kind and version,
// then counts and numbers in a fixed order. docs/format/states.md describes the bytes.
//
// It knows no state's meaning: survey, survey/coordinate, survey/confseq and survey/stream say which fields they have and
// which values can't be. It must never accept bytes that it would not have written: counts have one form only, numbers are
// finite, nothing may be left over. So what can be read can be written again, byte for byte.
//
//	b := packed.Begin(nil, packed.Moments)
//	b = packed.AppendFloat(packed.AppendCount(b, m.Count), m.Mean)
//	r := packed.Open(packed.Moments, b)
//	m.Count, m.Mean = r.Count("count"), r.Float("mean")
//	err := r.Close()
package packed

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Kind says which state stands in the bytes. The numbers are part of the format.
type Kind byte

// The kinds.
const (
	Moments Kind = iota + 1
	Tails
	Cluster
	Running
	Pairs
	Asymptotic
	EmpiricalBernstein
	PredictableMixture
	Betting
	Reservoir
	Priority
	VarOpt
	Successive
)

var names = [...]string{
	Moments: "moments", Tails: "tails", Cluster: "cluster", Running: "running mean", Pairs: "pairs",
	Asymptotic: "asymptotic sequence", EmpiricalBernstein: "empirical-Bernstein sequence",
	PredictableMixture: "predictable mixture", Betting: "betting sequence",
	Reservoir: "reservoir", Priority: "priority sample", VarOpt: "varopt sample", Successive: "successive sample",
}

// String returns the kind in words.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", byte(k))
	}
	return names[k]
}

// Version is the version that is written, and the only one that there is.
const Version = 1

// magic opens every state.
const magic = "QS"

const headerBytes = len(magic) + 2

// Begin appends the header of a state.
func Begin(b []byte, k Kind) []byte { return append(append(b, magic...), byte(k), Version) }

// AppendCount appends a number that is not negative.
func AppendCount(b []byte, n int64) []byte { return binary.AppendUvarint(b, uint64(n)) }

// AppendFloat appends finite numbers.
func AppendFloat(b []byte, xs ...float64) []byte {
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

// AppendSize appends finite numbers that are not negative; a negative zero becomes zero.
func AppendSize(b []byte, xs ...float64) []byte {
	for _, x := range xs {
		b = AppendFloat(b, x+0)
	}
	return b
}

// AppendBytes appends a text or any bytes, with their length.
func AppendBytes(b, text []byte) []byte { return append(AppendCount(b, int64(len(text))), text...) }

// Reader takes a state apart. After the first fault it returns zeros; Close says what the fault was.
type Reader struct {
	kind Kind
	rest []byte
	err  error
}

// Open checks the header. The reader keeps data until Close.
func Open(k Kind, data []byte) *Reader {
	r := &Reader{kind: k}
	switch {
	case len(data) < headerBytes || string(data[:len(magic)]) != magic:
		r.Fail("no such header")
	case Kind(data[len(magic)]) != k:
		r.Fail("the bytes are those of %s", Kind(data[len(magic)]))
	case data[len(magic)+1] != Version:
		r.Fail("version %d, not %d", data[len(magic)+1], Version)
	default:
		r.rest = data[headerBytes:]
	}
	return r
}

// Fail notes a fault, unless there was one before.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("state of %s: "+format, append([]any{r.kind}, args...)...)
	}
	r.rest = nil
}

// Count reads a number that is not negative and stands in its shortest form.
func (r *Reader) Count(field string) int64 {
	if r.err != nil {
		return 0
	}
	n, size := binary.Uvarint(r.rest)
	switch {
	case size == 0:
		r.Fail("%s: the bytes end", field)
		return 0
	case size < 0 || n > math.MaxInt64:
		r.Fail("%s: out of range", field)
		return 0
	case size > 1 && r.rest[size-1] == 0:
		r.Fail("%s: not in its shortest form", field)
		return 0
	}
	r.rest = r.rest[size:]
	return int64(n)
}

// Length reads how many items follow, each of at least so many bytes, so that no claim takes more memory than was sent.
func (r *Reader) Length(field string, itemBytes int) int {
	n := r.Count(field)
	if n > int64(len(r.rest)/itemBytes) {
		r.Fail("%s: %d items in %d bytes", field, n, len(r.rest))
		return 0
	}
	return int(n)
}

// floatBytes is the size of a number.
const floatBytes = 8

// Float reads a finite number.
func (r *Reader) Float(field string) float64 {
	if r.err != nil {
		return 0
	}
	if len(r.rest) < floatBytes {
		r.Fail("%s: the bytes end", field)
		return 0
	}
	x := math.Float64frombits(binary.LittleEndian.Uint64(r.rest))
	if math.IsNaN(x) || math.IsInf(x, 0) {
		r.Fail("%s: not a finite number", field)
		return 0
	}
	r.rest = r.rest[floatBytes:]
	return x
}

// Size reads a finite number that is not negative.
func (r *Reader) Size(field string) float64 {
	x := r.Float(field)
	if math.Signbit(x) {
		r.Fail("%s: negative", field)
		return 0
	}
	return x
}

// Floats reads a list of finite numbers.
func (r *Reader) Floats(field string) []float64 {
	xs := make([]float64, r.Length(field, floatBytes))
	for i := range xs {
		xs[i] = r.Float(field)
	}
	return xs
}

// Bytes reads a text or any bytes, which are not copied.
func (r *Reader) Bytes(field string) []byte {
	n := r.Length(field, 1)
	text := r.rest[:n:n]
	r.rest = r.rest[n:]
	return text
}

// Close returns the first fault, or that something is left over.
func (r *Reader) Close() error {
	if r.err == nil && len(r.rest) > 0 {
		r.Fail("%d bytes too many", len(r.rest))
	}
	return r.err
}
