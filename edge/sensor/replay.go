package sensor

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// replay gives the column of a CSV file, one row a reading, or each row when its time has come: the first row when the
// replay begins, the others as long after it as their timestamps say. An empty cell is no reading.
type replay struct {
	root  fs.FS
	spec  Spec
	scale *big.Rat

	file          fs.File
	rows          *csv.Reader
	column, stamp int
	any           bool // this pass has had a row
	ended         bool
	started       time.Time // when this pass began, by the caller's clock
	first         time.Time // timestamp of this pass's first row
	next          []string  // a row whose time has not come
	nextAt        time.Time
	fresh         bool // next is the first of its pass
}

func (r *replay) Read(_ context.Context, now time.Time) (privacy.Micro, error) {
	if r.ended {
		return 0, ErrEnd
	}
	row, err := r.row(now)
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(row[r.column])
	if text == "" || text == "NA" {
		return 0, ErrNone
	}
	return scaled(text, r.scale)
}

// row returns the row of this moment. With timestamps that is the newest whose time has come; those before it are passed
// over.
func (r *replay) row(now time.Time) ([]string, error) {
	if r.spec.Timestamp == "" {
		return r.advance()
	}
	var due []string
	for {
		if r.next == nil {
			if err := r.peek(now); err != nil {
				if due != nil && !errors.Is(err, ErrNumber) {
					return due, nil
				}
				return nil, err
			}
			if r.fresh && due != nil {
				return due, nil
			}
		}
		if r.nextAt.Sub(r.first) > now.Sub(r.started) {
			if due == nil {
				return nil, ErrNone
			}
			return due, nil
		}
		due, r.next = r.next, nil
	}
}

// peek reads the next row and its time.
func (r *replay) peek(now time.Time) error {
	row, err := r.advance()
	if err != nil {
		return err
	}
	at, err := timestamp(row[r.stamp])
	if err != nil {
		return err
	}
	r.fresh = r.first.IsZero()
	if r.fresh {
		r.started, r.first = now, at
	}
	r.next, r.nextAt = slices.Clone(row), at
	return nil
}

// advance reads one row, opening the file at the beginning of each pass.
func (r *replay) advance() ([]string, error) {
	for {
		if r.rows == nil {
			if err := r.open(); err != nil {
				return nil, err
			}
		}
		row, err := r.rows.Read()
		switch {
		case err == nil && max(r.column, r.stamp) < len(row):
			r.any = true
			return row, nil
		case err == nil:
			return nil, ErrMissing
		case !errors.Is(err, io.EOF):
			return nil, ErrNumber
		}
		_ = r.file.Close()
		r.rows, r.first = nil, time.Time{}
		if r.spec.AtEnd == Stop || !r.any {
			r.ended = true
			return nil, ErrEnd
		}
	}
}

func (r *replay) open() error {
	f, err := r.root.Open(strings.TrimPrefix(r.spec.File, "/"))
	if err != nil {
		return ErrMissing
	}
	rows := csv.NewReader(f)
	rows.FieldsPerRecord, rows.ReuseRecord, rows.Comment = -1, true, '#'
	head, err := rows.Read()
	if err == nil {
		r.column, err = columnOf(head, r.spec.Column)
	}
	if err == nil && r.spec.Timestamp != "" {
		r.stamp, err = columnOf(head, r.spec.Timestamp)
	}
	if err != nil {
		_ = f.Close()
		return ErrMissing
	}
	r.file, r.rows, r.any = f, rows, false
	return nil
}

// columnOf finds a column by its name in the head, or by its number from 1.
func columnOf(head []string, column string) (int, error) {
	if i := slices.Index(head, column); i >= 0 {
		return i, nil
	}
	if n, err := strconv.Atoi(column); err == nil && n >= 1 && n <= len(head) {
		return n - 1, nil
	}
	return 0, ErrMissing
}

func timestamp(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	seconds, err := scaled(text, big.NewRat(1, 1))
	if err != nil {
		return time.Time{}, ErrNumber
	}
	return time.UnixMicro(int64(seconds)).UTC(), nil
}
