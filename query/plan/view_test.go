package plan_test

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/quadrat-dev/quadrat/query/plan"
)

// TestNoMarginWithoutAnInterval: where no interval is expected the plan has no margin, which is not one of 0.
func TestNoMarginWithoutAnInterval(t *testing.T) {
	for privacy, want := range map[string]string{
		"NONE":                  "",           // no bounds, so nothing is known of the spread
		"NONE BETWEEN 0 AND 30": `"margin":0`, // everyone, without noise
		"LOCAL EPSILON 1 PER 1h BETWEEN 0 AND 30": `"margin":`,
	} {
		frame := make([]plan.Member, 400)
		for i := range frame {
			frame[i].ID = string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		}
		rev, err := plan.Build(prepared(t, "SELECT mean(x) FROM sense.t SAMPLE ALL WINDOW 1h PRIVACY "+privacy, nil), frame, plan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(rev.GetPlan().GetStatistics()[0])
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(string(text), " ", "")
		if strings.Contains(got, `"margin"`) != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q in it", privacy, got, want)
		}
	}
}

// TestSmallestBatch counts the smallest combination of stratum and cell by hand: 300 and 100 devices of one region with and without
// cooling, 200 of another with.
func TestSmallestBatch(t *testing.T) {
	frame := fleet("asia", "air", 300, "asia", "none", 100, "europe", "air", 200)
	for text, want := range map[string]float64{
		"mean(x) FROM sense.t SAMPLE ALL":                                                            60, // by turns, ten windows a lap
		"mean(x) FROM sense.t GROUP BY cooling_type SAMPLE ALL":                                      10,
		"mean(x) FROM sense.t SAMPLE 60 DEVICES STRATIFIED BY region":                                20,
		"mean(x) FROM sense.t GROUP BY cooling_type SAMPLE 60 DEVICES STRATIFIED BY region":          10,
		"mean(x), mean(y) FROM sense.t GROUP BY cooling_type SAMPLE 60 DEVICES STRATIFIED BY region": 5,
	} {
		text = "SELECT " + text + " WINDOW 1m PRIVACY LOCAL EPSILON 4 PER 10m BETWEEN 0 AND 1"
		rev, err := plan.Build(prepared(t, text, nil), frame, plan.Options{Ref: "k", Revision: 1})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := rev.GetPlan().GetSmallestBatch(); math.Abs(got-want) > 0.15*want {
			t.Errorf("%s: %g, want %g", text, got, want)
		}
	}
}
