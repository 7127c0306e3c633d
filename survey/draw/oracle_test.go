package draw

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// oracleCompared is how many numbers of sampling_oracle.json this package must reproduce.
const oracleCompared = 202

type oracleEntry struct {
	ID     string
	Inputs struct {
		X, Pik []float64
		N      int
	}
	Value json.RawMessage
}

func TestOracle(t *testing.T) {
	text, err := os.ReadFile("testdata/sampling_oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Results []json.RawMessage }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, raw := range file.Results {
		var name struct{ ID string }
		if err := json.Unmarshal(raw, &name); err != nil {
			t.Fatal(err)
		}
		f, ok := answers[name.ID]
		if !ok {
			continue
		}
		var e oracleEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		got, err := f(e)
		if err != nil {
			t.Errorf("%s: %v", e.ID, err)
			continue
		}
		for i, want := range e.numbers(t) {
			compared++
			tolerance := 1e-9
			if strings.Contains(e.ID, "maxent") {
				// R stops its search at 1e-6: its table's rows miss their sums (n−1)π by as much. Ours are held to them elsewhere.
				tolerance = 3e-6
			}
			if !(math.Abs(got[i]-want) <= tolerance*math.Max(1e-6, want)+1e-15) {
				t.Errorf("%s[%d]: %.15g, want %.15g", e.ID, i, got[i], want)
			}
		}
	}
	t.Logf("compared %d numbers with R's sampling", compared)
	if compared < oracleCompared {
		t.Errorf("compared %d numbers, want at least %d", compared, oracleCompared)
	}
}

// numbers flattens a list or a table.
func (e oracleEntry) numbers(t *testing.T) []float64 {
	var list []float64
	if json.Unmarshal(e.Value, &list) == nil {
		return list
	}
	var rows [][]float64
	if err := json.Unmarshal(e.Value, &rows); err != nil {
		t.Fatal(err)
	}
	return flat(rows)
}

func flat(rows [][]float64) []float64 {
	var out []float64
	for _, row := range rows {
		out = append(out, row...)
	}
	return out
}

var answers = map[string]func(oracleEntry) ([]float64, error){
	"pik_certainty": func(e oracleEntry) ([]float64, error) { return Proportional(e.Inputs.X, e.Inputs.N) },
	"pik_n6":        func(e oracleEntry) ([]float64, error) { return Proportional(e.Inputs.X, e.Inputs.N) },
	"maxent_piktilde": func(e oracleEntry) ([]float64, error) {
		return MaxEntropyWorking(e.Inputs.Pik)
	},
	"pi2_UPsampford": func(e oracleEntry) ([]float64, error) {
		rows, err := SampfordJoint(e.Inputs.Pik)
		return flat(rows), err
	},
	"pi2_UPmaxentropy": func(e oracleEntry) ([]float64, error) {
		rows, err := MaxEntropyJoint(e.Inputs.Pik)
		return flat(rows), err
	},
	"pi2_UPtille": func(e oracleEntry) ([]float64, error) {
		rows, err := EliminationJoint(e.Inputs.Pik)
		return flat(rows), err
	},
	// Midzuno's design leaves out what elimination draws with the complements.
	"pi2_UPmidzuno": func(e oracleEntry) ([]float64, error) {
		pi := e.Inputs.Pik
		rows, err := EliminationJoint(complements(pi))
		for k, row := range rows {
			for l := range row {
				if k == l {
					row[l] = pi[k]
				} else {
					row[l] += pi[k] + pi[l] - 1
				}
			}
		}
		return flat(rows), err
	},
	"pi2_UPsystematic": func(e oracleEntry) ([]float64, error) {
		rows, err := SystematicJoint(e.Inputs.Pik, identity(len(e.Inputs.Pik)))
		return flat(rows), err
	},
}
