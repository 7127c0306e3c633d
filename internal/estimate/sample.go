package estimate

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
)

// missing is a missing number.
var missing = math.NaN()

// want lists the columns that the design needs.
func (p *plan) want(w *tabular.Want) {
	label := func(names ...string) {
		for _, name := range names {
			if name != "" {
				w.Labels = append(w.Labels, name)
			}
		}
	}
	number := func(names ...string) {
		for _, name := range names {
			if name != "" {
				w.Numbers = append(w.Numbers, name)
			}
		}
	}
	label(p.Stratum, p.Phase2, p.Phase2Stratum)
	label(p.Cluster...)
	label(p.By...)
	number(p.Weight, p.Pi, p.NoiseVariance)
	number(p.FPC...)
	p.wantAuxiliary(w)
}

func count(t *tabular.Table, rows []int32) int {
	if rows == nil {
		return t.Rows
	}
	return len(rows)
}

// rowOf returns the table's row (counted from 1) of a sample's row (counted from 1).
func rowOf(rows []int32, row int) int {
	if rows == nil || row == 0 {
		return row
	}
	return int(rows[row-1]) + 1
}

// factor returns a column of labels for some rows, with the levels that occur there.
func factor(t *tabular.Table, name string, rows []int32) *design.Factor {
	l := t.Label(name)
	if rows == nil {
		return &design.Factor{Codes: l.Codes, Levels: l.Levels}
	}
	f := &design.Factor{Codes: make([]int32, len(rows))}
	seen := make(map[int32]int32)
	for i, row := range rows {
		code := l.Codes[row]
		if code < 0 {
			f.Codes[i] = -1
			continue
		}
		own, ok := seen[code]
		if !ok {
			own = int32(len(f.Levels))
			seen[code] = own
			f.Levels = append(f.Levels, l.Levels[code])
		}
		f.Codes[i] = own
	}
	return f
}

// study makes the design and the study of some rows (all when nil). Strata lie within the columns nest.
func (p *plan) study(t *tabular.Table, rows []int32, nest []string) (inference.Study, error) {
	spec := design.Spec{Rows: count(t, rows), Method: p.method, Lonely: p.lonely}
	if p.Weight != "" {
		spec.Weight = pick(t.Number(p.Weight), rows)
	}
	if p.Pi != "" {
		spec.Pi = pick(t.Number(p.Pi), rows)
	}
	spec.Stages = make([]design.Stage, max(1, len(p.Cluster), len(p.FPC)))
	for i, name := range p.Cluster {
		spec.Stages[i].Unit = p.units(t, name, rows)
	}
	for i, name := range p.FPC {
		spec.Stages[i].Size = pick(t.Number(name), rows)
	}
	if p.Stratum != "" {
		spec.Stages[0].Stratum = factor(t, p.Stratum, rows)
	}
	for _, name := range nest {
		spec.Stages[0].Stratum = cross(spec.Stages[0].Stratum, factor(t, name, rows))
	}
	if err := p.secondPhase(t, rows, &spec); err != nil {
		return inference.Study{}, err
	}
	if p.Joint != "" {
		var err error
		if spec.Joint, err = readMatrix(p.Joint); err != nil {
			return inference.Study{}, err
		}
	}
	d, err := design.New(spec)
	if err != nil {
		return inference.Study{}, err
	}
	c, err := p.calibrateOn(t, rows)
	return inference.Study{
		Design: d, Population: p.population(t, rows, spec.Stages[0].Stratum), Calibration: c, Replicates: p.replicates, Confidence: p.Confidence, Interval: p.interval, DropMissing: p.DropMissing,
	}, err
}

// cross returns the combinations of two factors that occur.
func cross(a, b *design.Factor) *design.Factor {
	if a == nil {
		return b
	}
	type pair struct{ a, b int32 }
	seen := make(map[pair]int32)
	f := &design.Factor{Codes: make([]int32, len(a.Codes))}
	for k := range f.Codes {
		at := pair{a.Codes[k], b.Codes[k]}
		if at.a < 0 || at.b < 0 {
			f.Codes[k] = -1
			continue
		}
		code, ok := seen[at]
		if !ok {
			code = int32(len(f.Levels))
			seen[at] = code
			f.Levels = append(f.Levels, a.Levels[at.a]+" / "+b.Levels[at.b])
		}
		f.Codes[k] = code
	}
	return f
}

// secondPhase reads who responded: 1, true or yes against 0, false or no.
func (p *plan) secondPhase(t *tabular.Table, rows []int32, spec *design.Spec) error {
	if p.Phase2 == "" {
		return nil
	}
	f := factor(t, p.Phase2, rows)
	answers := make([]bool, len(f.Levels))
	known := make([]bool, len(f.Levels))
	for code, level := range f.Levels {
		switch strings.ToLower(level) {
		case "1", "true", "yes":
			answers[code], known[code] = true, true
		case "0", "false", "no":
			known[code] = true
		}
	}
	phase := &design.Phase2{Responded: make([]bool, len(f.Codes))}
	for k, code := range f.Codes {
		if code < 0 || !known[code] {
			return t.At(p.Phase2, rowOf(rows, k+1), "want 1, true or yes for a response, 0, false or no for none")
		}
		phase.Responded[k] = answers[code]
	}
	if p.Phase2Stratum != "" {
		phase.Class = factor(t, p.Phase2Stratum, rows)
	}
	spec.Phase2 = phase
	return nil
}

// readMatrix reads joint inclusion probabilities: a CSV file of numbers, with or without a header.
func readMatrix(path string) ([][]float64, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	defer in.Close()
	records, err := csv.NewReader(in).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: not a matrix of numbers in CSV", filepath.Base(path))
	}
	var matrix [][]float64
	for i, record := range records {
		row := make([]float64, len(record))
		for j, text := range record {
			if row[j], err = strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
				break
			}
		}
		switch {
		case err == nil:
			matrix = append(matrix, row)
		case i > 0:
			return nil, &tabular.Error{File: filepath.Base(path), Row: i + 1, Cause: "not a number"}
		}
	}
	return matrix, nil
}

// column returns the name of the column that a design error speaks of.
func (p *plan) column(e *design.Error, s *statistic) string {
	stage := func(names []string) string {
		if at := max(e.Stage, 1); at <= len(names) {
			return names[at-1]
		}
		return ""
	}
	switch e.Role {
	case design.RoleWeight:
		return p.Weight
	case design.RoleStratum:
		return p.Stratum
	case design.RoleCluster:
		return stage(p.Cluster)
	case design.RoleFPC:
		return stage(p.FPC)
	case design.RolePi:
		return p.Pi
	case design.RolePhase2:
		if e.Row > 0 || e.Stratum != "" {
			return p.Phase2Stratum
		}
		return p.Phase2
	case design.RoleNoise:
		return p.NoiseVariance
	case design.RoleY, design.RoleX:
		if s == nil || s.condition != nil {
			return ""
		}
		if e.Role == design.RoleX {
			return s.x
		}
		return s.y
	case design.RoleJoint:
	}
	return ""
}
