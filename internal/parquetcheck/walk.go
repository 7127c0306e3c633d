package parquetcheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// nestMost bounds how deep structs and lists may stand in one another; the deepest that the format knows is 8.
const nestMost = 32

// Types of Thrift's compact protocol.
const (
	typeTrue = iota + 1
	typeFalse
	typeByte
	typeInt16
	typeInt32
	typeInt64
	typeDouble
	typeBinary
	typeList
	typeSet
	typeMap
	typeStruct
	typeUUID
)

// errShort says that the bytes end too early.
var errShort = errors.New("a length goes beyond the bytes that are there")

// walker goes over a struct in Thrift's compact protocol without keeping anything of it. A path is the numbers of the
// fields that lead to a value.
type walker struct {
	data   []byte
	at     int
	depth  int
	number func(path []int16, x int64) // told every 32-bit number, and truth values as 0 or 1; may be nil
	list   func(path []int16, n int)   // told every list, before its items; may be nil
	item   func(path []int16) error    // told every struct of a list, after it; may be nil
}

func (w *walker) take(n int) ([]byte, error) {
	if n < 0 || n > len(w.data)-w.at {
		return nil, errShort
	}
	w.at += n
	return w.data[w.at-n : w.at], nil
}

func (w *walker) uvarint() (uint64, error) {
	x, n := binary.Uvarint(w.data[w.at:])
	switch {
	case n == 0:
		return 0, errShort
	case n < 0:
		return 0, errors.New("a number has more than 64 bits")
	}
	w.at += n
	return x, nil
}

func (w *walker) varint() (int64, error) {
	u, err := w.uvarint()
	return int64(u>>1) ^ -int64(u&1), err
}

// length reads the number of things that follow, each of which takes at least so many bytes.
func (w *walker) length(each int) (int, error) {
	n, err := w.uvarint()
	if err != nil {
		return 0, err
	}
	if n > uint64(len(w.data)-w.at)/uint64(each) {
		return 0, errShort
	}
	return int(n), nil
}

// structure goes over a struct.
func (w *walker) structure(path []int16) error {
	if w.depth++; w.depth > nestMost {
		return fmt.Errorf("more than %d levels of nesting", nestMost)
	}
	defer func() { w.depth-- }()
	path = append(path, 0)
	var seen uint64
	for {
		head, err := w.take(1)
		if err != nil {
			return err
		}
		if head[0] == 0 {
			return nil
		}
		id := &path[len(path)-1]
		if delta := head[0] >> 4; delta > 0 {
			*id += int16(delta)
		} else {
			x, err := w.varint()
			if err != nil {
				return err
			}
			if x < math.MinInt16 || x > math.MaxInt16 {
				return errors.New("a field's number has more than 16 bits")
			}
			*id = int16(x)
		}
		if *id >= 0 && *id < 64 {
			if seen&(1<<*id) != 0 {
				return errors.New("a field stands twice in one struct")
			}
			seen |= 1 << *id
		}
		if err := w.value(path, head[0]&15, false); err != nil {
			return err
		}
	}
}

// value goes over a value of a type. A truth value takes a byte as an item only; as a field its type says it.
func (w *walker) value(path []int16, kind byte, item bool) error {
	var err error
	switch kind {
	case typeTrue, typeFalse:
		if item {
			_, err = w.take(1)
		} else if w.number != nil {
			w.number(path, int64(typeFalse-kind))
		}
	case typeByte:
		_, err = w.take(1)
	case typeInt32:
		var x int64
		if x, err = w.varint(); err == nil && w.number != nil {
			w.number(path, x)
		}
	case typeInt16, typeInt64:
		_, err = w.uvarint()
	case typeDouble:
		_, err = w.take(8)
	case typeUUID:
		_, err = w.take(16)
	case typeBinary:
		var n int
		if n, err = w.length(1); err == nil {
			_, err = w.take(n)
		}
	case typeList, typeSet:
		err = w.items(path)
	case typeMap:
		err = w.pairs(path)
	case typeStruct:
		err = w.structure(path)
	default:
		err = fmt.Errorf("a value of the unknown type %d", kind)
	}
	return err
}

// items goes over a list.
func (w *walker) items(path []int16) error {
	head, err := w.take(1)
	if err != nil {
		return err
	}
	n, kind := int(head[0]>>4), head[0]&15
	if n == 15 {
		if n, err = w.length(1); err != nil {
			return err
		}
	} else if n > len(w.data)-w.at {
		return errShort
	}
	if w.depth++; w.depth > nestMost {
		return fmt.Errorf("more than %d levels of nesting", nestMost)
	}
	defer func() { w.depth-- }()
	if w.list != nil {
		w.list(path, n)
	}
	for range n {
		if err := w.value(path, kind, true); err != nil {
			return err
		}
		if w.item != nil && kind == typeStruct {
			if err := w.item(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// pairs goes over a map; the format has none, but a field that a reader doesn't know may be one.
func (w *walker) pairs(path []int16) error {
	n, err := w.length(2)
	if err != nil || n == 0 {
		return err
	}
	kinds, err := w.take(1)
	if err != nil {
		return err
	}
	for range n {
		if err := w.value(path, kinds[0]>>4, true); err != nil {
			return err
		}
		if err := w.value(path, kinds[0]&15, true); err != nil {
			return err
		}
	}
	return nil
}
