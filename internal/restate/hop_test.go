package restate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/restate"
	"github.com/quadrat-dev/quadrat/survey"
)

// paneOf makes a pane of strata with some rows.
func paneOf(t *testing.T, a restate.Asked, index, turn int64, drawn []restate.Drawn, rows ...restate.Row) restate.Pane {
	t.Helper()
	w, err := restate.NewWindow(a, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drawn {
		if err := w.Draw(d); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rows {
		r.Inside = true
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return restate.Pane{Window: w, Start: time.Unix(60*index, 0), Index: index, Revision: 1, Turn: turn}
}

// Panes of a stratum that is heard in each, one with a single report in each and one that only one pane hears, with devices that
// answer twice or never, are what survey makes of the same strata, and sums are those of one pane.
func TestHopIsTheStrataOfItsPanes(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 4))
	drawn := []restate.Drawn{{Stratum: "big", Population: 90, Panel: 8}, {Stratum: "few", Population: 20, Panel: 1}, {Stratum: "late", Population: 7, Panel: 2}}
	for _, turn := range []int64{9, 1} {
		for kind, of := range map[string]func([]survey.Sample, *survey.Repeats, float64) (survey.Estimate, error){
			"mean": survey.MeanOf, "total": survey.TotalOf,
		} {
			asked := restate.Asked{Kind: kind, Mechanism: "hybrid"}
			var panes []restate.Pane
			joined, units := make([]survey.Pane, 3), map[string][]survey.Answer{}
			for w := range joined {
				joined[w].Label = time.Unix(60*int64(w), 0).UTC().Format(time.RFC3339)
				var rows []restate.Row
				for h, responses := range [][]int{{8, 8, 7}, {1, 1, 1}, {0, 2, 0}} {
					d := drawn[h]
					s := survey.Sample{Stratum: d.Stratum, Population: d.Population, Panel: d.Panel}
					for i := range responses[w] {
						r := restate.Row{
							Device: fmt.Sprint(d.Stratum, i), Stratum: d.Stratum, Cell: "{}", Population: d.Population, Score: random.NormFloat64(), Noise: 0.25,
						}
						rows = append(rows, r)
						s.Responses++
						s.Domain.Add(r.Score, r.Noise)
						units[r.Device] = append(units[r.Device], survey.Answer{Stratum: 8*w + h, Score: r.Score, Inside: true})
					}
					joined[w].Strata = append(joined[w].Strata, s)
				}
				panes = append(panes, paneOf(t, asked, int64(w), turn, drawn, rows...))
			}
			merged, into, _ := survey.JoinPanes(joined, 2)
			repeats := &survey.Repeats{Class: make([]int, len(merged)), Units: func(yield func([]survey.Answer) bool) {
				for _, of := range units {
					for i := range of {
						of[i].Stratum = into[of[i].Stratum/8][of[i].Stratum%8]
					}
					if !yield(of) {
						return
					}
				}
			}}
			for i, s := range merged {
				for h, d := range drawn {
					if strings.HasPrefix(s.Stratum, d.Stratum) {
						repeats.Class[i] = h
					}
				}
			}
			if turn == 9 {
				repeats = nil
			}
			want, err := of(merged, repeats, confidence)
			if err != nil {
				t.Fatal(err)
			}
			if kind == "total" {
				want = want.Over(3)
			}
			hop, err := restate.Hop(panes, 3)
			if err != nil {
				t.Fatal(err)
			}
			if got := hop.Answers(restate.AllCells, confidence)[0]; got.Err != nil || !same(got.Estimate, want) {
				t.Errorf("%s, turn %d: %+v, want %+v", kind, turn, got, want)
			}
		}
	}
}

// A stratum in which nobody answered in any pane gives no number, as live, and cells say what is not known of them.
func TestHopTellsSilence(t *testing.T) {
	drawn := []restate.Drawn{{Stratum: "a", Population: 40, Panel: 3}, {Stratum: "mute", Population: 9, Panel: 1}}
	asked := restate.Asked{Kind: "mean", Mechanism: "none"}
	row := func(device int) restate.Row {
		return restate.Row{Device: fmt.Sprint(device), Stratum: "a", Cell: `{"x":"1"}`, Population: 40, Score: float64(device)}
	}
	panes := []restate.Pane{paneOf(t, asked, 4, 9, drawn, row(1), row(2)), paneOf(t, asked, 5, 9, drawn, row(3), row(4), row(5))}
	hop, err := restate.Hop(panes, 4)
	if err != nil {
		t.Fatal(err)
	}
	if a := hop.Answers(restate.AllCells, confidence)[0]; a.Err == nil || !strings.Contains(a.Err.Error(), "mute") {
		t.Errorf("a number without a stratum that is silent: %+v", a)
	}
	a := hop.Answers(`{"x":"1"}`, confidence)[0]
	if told := strings.Join(a.Estimate.Warnings, "; "); a.Err != nil || math.Abs(a.Estimate.Value-2.75) > 1e-12 || // 40 (1.5 + 4) / 80
		!strings.Contains(told, "stratum mute") || !strings.Contains(told, "holds 2 of its 4 panes") {
		t.Errorf("%+v", a)
	}
}

// What has no estimator is refused, and strata of another export are seen.
func TestHopRefuses(t *testing.T) {
	drawn := []restate.Drawn{{Stratum: "a", Population: 40, Panel: 3}}
	row := restate.Row{Device: "d", Stratum: "a", Cell: "{}", Population: 40, Score: 1}
	asked := restate.Asked{Kind: "variance", Mechanism: "none"}
	hop, err := restate.Hop([]restate.Pane{paneOf(t, asked, 0, 1, drawn, row, row), paneOf(t, asked, 1, 1, drawn, row, row)}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if a := hop.Answers(restate.AllCells, confidence)[0]; a.Err == nil || !strings.Contains(a.Err.Error(), "several answers of one device") {
		t.Errorf("a variance of devices that answer twice: %+v", a)
	}
	pane := paneOf(t, asked, 0, 1, drawn)
	for name, spoil := range map[string]func(*restate.Row){
		"not among the strata": func(r *restate.Row) { r.Stratum = "a+b" },
		"two sizes":            func(r *restate.Row) { r.Population = 41 },
	} {
		other := row
		spoil(&other)
		if err := pane.Add(other); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	for _, bad := range []restate.Drawn{{Stratum: "a"}, {Stratum: "a", Population: 1, Clusters: -1}, {Stratum: "a", Population: 1, Panel: -1}} {
		if err := pane.Draw(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
