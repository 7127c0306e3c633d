package survey

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// oracleCompared is how many numbers the tables must yield; fewer means that the test has lost a part of them.
const oracleCompared = 81

// oracleResult is one entry of fleet_oracle.json. Numbers may stand alone or in a list, one for each group.
type oracleResult struct {
	ID      string
	Dataset string
	Kind    string
	Spec    struct {
		Var, Cond, Domain, By, Stat string
		Design                      struct{ Strata string }
	}
	Names    []string
	Estimate numbers
	SE       numbers
	DF       float64
	Deff     numbers
	CI       *oracleInterval `json:"ci95"`
	CIT      *oracleInterval `json:"ci95_t"`
}

type oracleInterval struct{ Lower, Upper numbers }

type numbers []float64

// UnmarshalJSON takes a number or a list of numbers.
func (n *numbers) UnmarshalJSON(text []byte) error {
	if strings.HasPrefix(string(text), "[") {
		return json.Unmarshal(text, (*[]float64)(n))
	}
	*n = make(numbers, 1)
	return json.Unmarshal(text, &(*n)[0])
}

// readTable returns the rows of a CSV file in testdata as maps from column to text.
func readTable(t *testing.T, name string) []map[string]string {
	t.Helper()
	file, err := os.Open("testdata/" + name + ".csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]map[string]string, len(records)-1)
	for i, record := range records[1:] {
		rows[i] = make(map[string]string, len(record))
		for j, column := range records[0] {
			rows[i][column] = record[j]
		}
	}
	return rows
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// tableStrata sums the rows up: score gives each row's score, and whether the row lies in the domain.
func tableStrata(t *testing.T, rows []map[string]string, column string, score func(map[string]string) (float64, bool)) []Sample {
	t.Helper()
	index := make(map[string]int)
	var strata []Sample
	for _, row := range rows {
		name := ""
		if column != "" {
			name = row[column]
		}
		h, ok := index[name]
		if !ok {
			h = len(strata)
			index[name] = h
			strata = append(strata, Sample{Stratum: name, Population: int64(number(t, row["N"]))})
		}
		strata[h].Panel++
		strata[h].Responses++
		if y, ok := score(row); ok {
			strata[h].Domain.Add(y, 0)
		}
	}
	return strata
}

// equals reads a condition like class=='outdoor' or alarm==1.
func equals(condition string) (column, value string) {
	column, value, _ = strings.Cut(condition, "==")
	return column, strings.Trim(value, "'")
}

// scorer returns what a result's specification makes of a row, for the group with this name.
func scorer(t *testing.T, r oracleResult, group string) func(map[string]string) (float64, bool) {
	return func(row map[string]string) (float64, bool) {
		if r.Spec.Domain != "" {
			if column, value := equals(r.Spec.Domain); row[column] != value {
				return 0, false
			}
		}
		if r.Spec.By != "" && row[r.Spec.By] != group {
			return 0, false
		}
		if r.Spec.Cond != "" {
			if column, value := equals(r.Spec.Cond); row[column] == value {
				return 1, true
			}
			return 0, true
		}
		if row[r.Spec.Var] == "" {
			return 0, false
		}
		return number(t, row[r.Spec.Var]), true
	}
}

func TestFleetOracle(t *testing.T) {
	text, err := os.ReadFile("testdata/fleet_oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var oracle struct{ Results []oracleResult }
	if err := json.Unmarshal(text, &oracle); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, r := range oracle.Results {
		rows := readTable(t, r.Dataset)
		for i := range r.Estimate {
			group := ""
			if r.Spec.By != "" {
				group = r.Names[i]
			}
			strata := tableStrata(t, rows, r.Spec.Design.Strata, scorer(t, r, group))
			estimator := Mean
			if slices.Contains([]string{r.Kind, r.Spec.Stat}, "total") {
				estimator = Total
			}
			e, err := estimator(strata, 0.95)
			if err != nil {
				t.Errorf("%s %s: %v", r.ID, group, err)
				continue
			}
			compared += r.compare(t, i, e)
		}
	}
	t.Logf("compared %d numbers with R's survey", compared)
	if compared < oracleCompared {
		t.Errorf("compared %d numbers, want at least %d", compared, oracleCompared)
	}
}

// compare checks group i of the result to 1e-6 relative and returns how many numbers it compared. Where our degrees of
// freedom (domain members) differ from the table's (whole design), the table's interval is held against the t of its own.
func (r oracleResult) compare(t *testing.T, i int, e Estimate) int {
	t.Helper()
	compared := 0
	check := func(what string, got, want float64) {
		compared++
		if !near(got, want, 1e-6, 0) {
			t.Errorf("%s[%d]: %s %.12g, want %.12g", r.ID, i, what, got, want)
		}
	}
	check("estimate", e.Value, r.Estimate[i])
	check("standard error", e.StdError, r.SE[i])
	if len(r.Deff) > i {
		check("design effect", e.DesignEffect, r.Deff[i])
	}
	interval := r.CIT
	if interval == nil {
		interval = r.CI
	}
	low, high := e.Low, e.High
	if r.Spec.By != "" || r.Spec.Domain != "" || e.DegreesOfFreedom < r.DF {
		if e.DegreesOfFreedom >= r.DF {
			t.Errorf("%s[%d]: %v degrees of freedom, not below the whole design's %v", r.ID, i, e.DegreesOfFreedom, r.DF)
		}
		half := quantileT(0.95, r.DF) * e.StdError
		low, high = e.Value-half, e.Value+half
	} else {
		check("degrees of freedom", e.DegreesOfFreedom, r.DF)
	}
	check("low", low, interval.Lower[i])
	check("high", high, interval.Upper[i])
	return compared
}
