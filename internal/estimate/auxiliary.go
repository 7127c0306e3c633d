package estimate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/calibrate"
)

// margin is a column whose levels have known counts.
type margin struct {
	column string
	totals map[string]float64
}

// auxiliary is a known total: of ones, of a column, or of a level.
type auxiliary struct {
	name          string
	column, level string
	total         float64
}

// calibration reads --poststratify, --rake and --calibrate, of which there may be one.
func (p *plan) calibration() error {
	given := 0
	for _, text := range [][]byte{p.Poststratify, p.Rake, p.Calibrate} {
		if text != nil {
			given++
		}
	}
	if given > 1 {
		return &UsageError{"calibrate", "only one of --poststratify, --rake and --calibrate can be given"}
	}
	if given == 0 {
		if p.Calfun != "" || p.Bounds != nil {
			return &UsageError{"calfun", "needs --poststratify, --rake or --calibrate"}
		}
		return nil
	}
	switch {
	case p.Poststratify != nil:
		if err := p.readMargins("poststratify", p.Poststratify); err != nil {
			return err
		}
		if len(p.margins) != 1 {
			return &UsageError{"poststratify", "want one column; several are raked"}
		}
	case p.Rake != nil:
		p.function = calibrate.Raking
		if err := p.readMargins("rake", p.Rake); err != nil {
			return err
		}
	default:
		var totals map[string]float64
		if err := decode("calibrate", p.Calibrate, &totals); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(totals)) {
			column, level, _ := strings.Cut(name, "=")
			p.auxiliary = append(p.auxiliary, auxiliary{name: name, column: column, level: level, total: totals[name]})
		}
	}
	if p.Calfun != "" {
		function, ok := functions[p.Calfun]
		if !ok {
			return oneOf("calfun", functions)
		}
		p.function = function
	}
	if p.margins == nil && p.auxiliary == nil {
		return &UsageError{"calibrate", "no total is given"}
	}
	if p.function == calibrate.Logit && p.Bounds == nil {
		return &UsageError{"calfun", "logit needs --bounds"}
	}
	return nil
}

func (p *plan) readMargins(flag string, text []byte) error {
	var totals map[string]map[string]float64
	if err := decode(flag, text, &totals); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(totals)) {
		p.margins = append(p.margins, margin{column: name, totals: totals[name]})
	}
	return nil
}

func decode(flag string, text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(into); err != nil {
		return &UsageError{flag, "not the JSON that is wanted: " + err.Error()}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &UsageError{flag, "text after the JSON"}
	}
	return nil
}

func (p *plan) wantAuxiliary(w *tabular.Want) {
	for _, m := range p.margins {
		w.Labels = append(w.Labels, m.column)
	}
	for _, a := range p.auxiliary {
		switch {
		case a.level != "":
			w.Labels = append(w.Labels, a.column)
		case a.name != "1":
			w.Numbers = append(w.Numbers, a.column)
		}
	}
}

// calibrateOn makes the calibration for some rows of a table.
func (p *plan) calibrateOn(t *tabular.Table, rows []int32) (*calibrate.Spec, error) {
	if p.margins == nil && p.auxiliary == nil {
		return nil, nil
	}
	s := &calibrate.Spec{Function: p.function}
	if p.Bounds != nil {
		s.Bounds = calibrate.Bounds{Low: p.Bounds[0], High: p.Bounds[1]}
	}
	for _, m := range p.margins {
		f := factor(t, m.column, rows)
		columns, err := calibrate.Margin(m.column, f.Codes, f.Levels, m.totals)
		if err != nil {
			return nil, err
		}
		s.Columns = append(s.Columns, columns...)
	}
	for _, a := range p.auxiliary {
		c := calibrate.Column{Name: a.name, Total: a.total}
		switch {
		case a.level != "":
			f := factor(t, a.column, rows)
			c.Values = make([]float64, len(f.Codes))
			for k, code := range f.Codes {
				if code < 0 {
					return nil, t.At(a.column, rowOf(rows, k+1), "missing")
				}
				if f.Levels[code] == a.level {
					c.Values[k] = 1
				}
			}
		case a.name == "1":
			c.Values = slices.Repeat([]float64{1}, count(t, rows))
		default:
			c.Values = pick(t.Number(a.column), rows)
		}
		s.Columns = append(s.Columns, c)
	}
	return s, nil
}
