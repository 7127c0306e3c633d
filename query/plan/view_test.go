package plan_test

import (
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
