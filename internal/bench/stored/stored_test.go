package stored_test

import (
	"math"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/bench/stored"
)

// TestFolderAnswers makes a small folder and holds its answers against the means that it was made with. A mean of the smallest region
// is of 2·600 reports with a variance of 1.9² + 9 in the whole, and of a fifth of them in the part: 4.9 standard errors are 0.5 and 1.13.
func TestFolderAnswers(t *testing.T) {
	dir := t.TempDir()
	if _, err := stored.Make(dir, stored.Config{Windows: 2, Panel: 20_000, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	again, err := stored.Make(dir, stored.Config{Windows: 2, Panel: 20_000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	part, err := again.Ask(t.Context(), "SELECT mean(temperature) FROM kappa.indoor UNTIL '"+stored.End(1).Format(time.RFC3339)+"'")
	if err != nil || int64(part.Results[0].GetReports()) != again.Rows()/2 {
		t.Fatalf("the first of two windows: %+v, %v", part, err)
	}
	for question, most := range map[string]float64{"": 0.5, " SAMPLE 20 PERCENT": 1.13} {
		answer, err := again.Ask(t.Context(), "SELECT mean(temperature) FROM kappa.indoor GROUP BY region"+question)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Stored != again.Rows() || len(answer.Results) != 7 {
			t.Fatalf("%d reports, %d results", answer.Stored, len(answer.Results))
		}
		for _, r := range answer.Results {
			if r.GetCell()["region"] == "island" && math.Abs(r.GetValue()-24.6) > most {
				t.Errorf("%s: %g", question, r.GetValue())
			}
		}
	}
}
