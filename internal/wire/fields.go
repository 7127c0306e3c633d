package wire

import (
	"math"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// messageMost bounds a message from the server, in bytes.
	messageMost = 8 << 20
	// textMost bounds one text, in bytes.
	textMost = 64<<10 - 1
)

// fields walks over the fields of one message. A field whose wire type isn't the one of its number is passed over, as
// protobuf does with fields that it doesn't know.
type fields struct {
	rest    []byte
	num     protowire.Number
	typ     protowire.Type
	content []byte // of a length-delimited field; shares the message's memory
	value   uint64 // of a varint or a fixed64
	err     error
}

// next steps to the next field; it is false at the end and after an error.
func (f *fields) next() bool {
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		return f.fail(ErrMalformed)
	}
	f.num, f.typ, f.rest = num, typ, f.rest[n:]
	switch typ {
	case protowire.BytesType:
		f.content, n = protowire.ConsumeBytes(f.rest)
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(f.rest)
	case protowire.Fixed64Type:
		f.value, n = protowire.ConsumeFixed64(f.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, f.rest)
	}
	if n < 0 {
		return f.fail(ErrMalformed)
	}
	f.rest = f.rest[n:]
	return true
}

func (f *fields) fail(err error) bool {
	if f.err == nil {
		f.err = err
	}
	return false
}

func (f *fields) text(to *string) {
	if f.typ != protowire.BytesType {
		return
	}
	if len(f.content) > textMost {
		f.fail(ErrSize)
		return
	}
	if !utf8.Valid(f.content) {
		f.fail(ErrMalformed)
		return
	}
	*to = string(f.content)
}

func (f *fields) texts(to *[]string) {
	if f.typ != protowire.BytesType {
		return
	}
	var s string
	f.text(&s)
	*to = append(*to, s)
}

func (f *fields) uint64(to *uint64) {
	if f.typ == protowire.VarintType {
		*to = f.value
	}
}

func (f *fields) uint32(to *uint32) {
	if f.typ == protowire.VarintType {
		*to = uint32(f.value)
	}
}

func (f *fields) int64(to *int64) {
	if f.typ == protowire.VarintType {
		*to = int64(f.value)
	}
}

func (f *fields) sint64(to *int64) {
	if f.typ == protowire.VarintType {
		*to = protowire.DecodeZigZag(f.value)
	}
}

func (f *fields) bool(to *bool) {
	if f.typ == protowire.VarintType {
		*to = f.value != 0
	}
}

func (f *fields) fixed64(to *uint64) {
	if f.typ == protowire.Fixed64Type {
		*to = f.value
	}
}

func (f *fields) double(to *float64) {
	if f.typ == protowire.Fixed64Type {
		*to = math.Float64frombits(f.value)
	}
}

// fixed64s takes a packed run or a single number.
func (f *fields) fixed64s(to *[]uint64) {
	switch f.typ {
	case protowire.Fixed64Type:
		*to = append(*to, f.value)
	case protowire.BytesType:
		if len(f.content)%8 != 0 {
			f.fail(ErrMalformed)
			return
		}
		*to = slices.Grow(*to, len(f.content)/8)
		for b := f.content; len(b) > 0; b = b[8:] {
			v, _ := protowire.ConsumeFixed64(b)
			*to = append(*to, v)
		}
	}
}

// sint64s takes a packed run or a single number.
func (f *fields) sint64s(to *[]int64) {
	switch f.typ {
	case protowire.VarintType:
		*to = append(*to, protowire.DecodeZigZag(f.value))
	case protowire.BytesType:
		for b := f.content; len(b) > 0; {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				f.fail(ErrMalformed)
				return
			}
			*to, b = append(*to, protowire.DecodeZigZag(v)), b[n:]
		}
	}
}

// message decodes an embedded message with decode and hands the result on.
func message[T any](f *fields, decode func([]byte) (T, error), yield func(T)) {
	if f.typ != protowire.BytesType {
		return
	}
	v, err := decode(f.content)
	if err != nil {
		f.fail(err)
		return
	}
	yield(v)
}

func appendText(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendElement(b, num, s)
}

// appendElement writes a text of a list, which is there even when it is empty.
func appendElement(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendTexts(b []byte, num protowire.Number, list []string) []byte {
	for _, s := range list {
		b = appendElement(b, num, s)
	}
	return b
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendVarint(b, num, 1)
}

func appendFixed64(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), v)
}

func appendMessage(b []byte, num protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), content)
}
