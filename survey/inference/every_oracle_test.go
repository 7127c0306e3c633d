package inference_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// described are the keys of a result that say what was asked, and so are no results.
var described = []string{"id", "tags", "dataset", "design", "pre", "call", "kind", "spec", "n", "names", "quantiles", "note", "inputs"}

// exceptions are the results that nothing here is compared with, and why.
var exceptions = map[string]string{
	"srs_ciprop_ell0_likelihood ci95": "the interval from a profile likelihood is not one of ours",
	"tp_mean se_R_survey":             "R's slip in two-phase designs with unequal strata; se holds the exact formula",
	"tp_total se_R_survey":            "the same",
	"calibev_linear":                  "its variance takes residuals from a regression with calibrated weights; its estimate is compared in TestSamplingOracleGREG",
}

// elsewhere are the tests of other packages that compare results of sampling_oracle.json and confseq_oracle.json. Each
// counts what it compares and fails when that falls.
var elsewhere = []string{"../allocate_oracle_test.go", "../draw/oracle_test.go"}

// everyKey fails for a key of a table that is neither compared, nor a description, nor an exception.
func everyKey(t *testing.T, text []byte, compared map[string]bool) {
	t.Helper()
	var oracle struct{ Results []map[string]json.RawMessage }
	if err := json.Unmarshal(text, &oracle); err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, r := range oracle.Results {
		var id string
		if err := json.Unmarshal(r["id"], &id); err != nil {
			t.Fatal(err)
		}
		for key, value := range r {
			name := id + " " + key
			if slices.Contains(described, key) || string(value) == "null" || exceptions[name] != "" {
				continue
			}
			if keys++; !compared[name] {
				t.Errorf("%s is not compared, and no exception", name)
			}
		}
	}
	t.Logf("compared all %d keys of %d results but the exceptions", keys, len(oracle.Results))
}

// everySampling fails for a result of sampling_oracle.json that no test compares.
func everySampling(t *testing.T, results []samplingEntry, compared map[string]bool) {
	t.Helper()
	text := sources(t, elsewhere...)
	for _, r := range results {
		if !compared[r.ID] && !strings.Contains(text, `"`+r.ID+`"`) && exceptions[r.ID] == "" {
			t.Errorf("%s is not compared, and no exception", r.ID)
		}
	}
	t.Logf("compared all %d results of sampling_oracle.json but the exceptions", len(results))
}

// Every boundary of confseq_oracle.json is computed in package confseq, whose test counts its numbers.
func TestEveryConfidenceSequence(t *testing.T) {
	text, err := os.ReadFile("../confseq/testdata/confseq_oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var oracle struct{ Results []struct{ ID string } }
	if err := json.Unmarshal(text, &oracle); err != nil {
		t.Fatal(err)
	}
	source := sources(t, "../confseq/oracle_test.go")
	for _, r := range oracle.Results {
		if !strings.Contains(source, `"`+r.ID+`"`) {
			t.Errorf("%s is not compared", r.ID)
		}
	}
	if len(oracle.Results) < 24 {
		t.Errorf("%d results, want at least 24", len(oracle.Results))
	}
}

// The counts of all tables: no less than this many numbers are compared, here and elsewhere.
func TestOraclesInAll(t *testing.T) {
	sum := samplingAtLeast + 2 // the GREG total and the ratio estimator
	for _, n := range atLeast {
		sum += n
	}
	for name, want := range map[string]string{
		"../allocate_oracle_test.go": "const samplingCompared = 29", "../draw/oracle_test.go": "const oracleCompared = 202",
		"../confseq/oracle_test.go": "const oracleCompared = 29", "../oracle_test.go": "const oracleCompared = 81",
	} {
		if !strings.Contains(sources(t, name), want) {
			t.Errorf("%s no longer says %s", name, want)
		}
	}
	sum += 29 + 202 + 29 + 81
	t.Logf("%d numbers of other programs are reproduced", sum)
	if sum < 1963 {
		t.Errorf("%d numbers, want at least 1963", sum)
	}
}

func sources(t *testing.T, names ...string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
