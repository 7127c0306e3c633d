package parquetcheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

const (
	magicBytes = 4
	tailBytes  = 4 + magicBytes // the footer's length and the magic
	columnNest = 128            // most levels of groups in a schema
	itemsFree  = 1 << 17        // structs in lists that a footer of any length may hold
	itemBytes  = 8              // what each one beyond takes at least, on average
	chunksFree = 1 << 20        // columns times row groups that a footer of any length may claim
)

// Numbers of fields of the format's FileMetaData.
const (
	fieldSchema   = 2
	fieldGroups   = 4
	fieldChildren = 5 // of a schema's element
)

// Footer checks the footer of a Parquet file of size bytes: that it lies in the file, that every length in it fits into
// it, and that what a reader makes of it stays in proportion to its length. It is safe for use by many goroutines.
func Footer(in io.ReaderAt, size int64) error {
	footer, err := readFooter(in, size)
	if err != nil {
		return err
	}
	var c claims
	w := walker{data: footer, number: c.number, list: c.list, item: c.item}
	if err := w.structure(make([]int16, 0, nestMost)); err != nil {
		return fmt.Errorf("the footer at byte %d: %w", w.at, err)
	}
	if c.items > itemsFree+len(footer)/itemBytes {
		return fmt.Errorf("a footer of %d bytes holds %d structs", len(footer), c.items)
	}
	if columns := max(1, c.columns); c.groups > (chunksFree+len(footer))/columns {
		return fmt.Errorf("a footer of %d bytes claims %d row groups of %d columns", len(footer), c.groups, c.columns)
	}
	return nil
}

func readFooter(in io.ReaderAt, size int64) ([]byte, error) {
	if size < magicBytes+tailBytes {
		return nil, errors.New("a file too short for a footer")
	}
	var tail [tailBytes]byte
	if err := readFull(in, tail[:], size-tailBytes); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > size-magicBytes-tailBytes || n > math.MaxInt32 {
		return nil, fmt.Errorf("a footer of %d bytes in a file of %d", n, size)
	}
	footer := make([]byte, n)
	return footer, readFull(in, footer, size-tailBytes-n)
}

// readFull reads all of b; a reader may tell the end of the file together with its last bytes.
func readFull(in io.ReaderAt, b []byte, at int64) error {
	if n, err := in.ReadAt(b, at); n < len(b) {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// claims is what a footer says that there is.
type claims struct {
	columns, groups int
	items           int     // structs in lists
	children        int64   // of the element of the schema that is being read
	open            []int64 // children to come of each group around it
}

func (c *claims) number(path []int16, x int64) {
	if slices.Equal(path, []int16{fieldSchema, fieldChildren}) {
		c.children = x
	}
}

func (c *claims) list(path []int16, n int) {
	if len(path) != 1 {
		return
	}
	switch path[0] {
	case fieldSchema:
		c.columns = n
	case fieldGroups:
		c.groups = n
	}
}

func (c *claims) item(path []int16) error {
	c.items++
	if len(path) != 1 || path[0] != fieldSchema {
		return nil
	}
	if c.children > 0 {
		if c.open = append(c.open, c.children); len(c.open) > columnNest {
			return fmt.Errorf("a schema of more than %d levels", columnNest)
		}
		c.children = 0
		return nil
	}
	for last := len(c.open) - 1; last >= 0; last-- {
		if c.open[last]--; c.open[last] > 0 {
			break
		}
		c.open = c.open[:last]
	}
	c.children = 0
	return nil
}
