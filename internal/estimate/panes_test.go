package estimate_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/estimate"
)

// panesExport is an export of a kappa with WINDOW 2m EVERY 1m, whose mean is asked in panes of minutes 0, 1 (where nobody answered) and
// 2, and a pane of minute 3 that has not closed: reports, strata and results beside each other.
func panesExport(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(folder, text string) {
		path := filepath.Join(dir, folder, "kappa=k1")
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "part.csv"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	span := func(minute int) string {
		return fmt.Sprintf("2026-11-20T10:0%d:00.000Z,2026-11-20T10:0%d:00.000Z", minute, minute+1)
	}
	reports := "window_start,window_end,device,statistic,stratum,cluster,cell,weight,pi,stratum_population,score,noise_variance,mechanism," +
		"epsilon,plan_revision,kind\n"
	for _, r := range []struct {
		minute int
		score  float64
	}{{0, 10}, {0, 12}, {2, 20}, {2, 22}, {2, 24}, {3, 1000}} {
		reports += fmt.Sprintf("%s,d%g,mean(t),all,,{},50,0.1,100,%g,1,hybrid,4,1,mean\n", span(r.minute), r.score, r.score)
	}
	strata := "window_start,window_end,statistic,stratum,stratum_population,panel,clusters,plan_revision,window_panes,turn_panes\n"
	for minute, size := range []int{100, 50, 100} {
		strata += span(minute) + fmt.Sprintf(",mean(t),all,%d,3,,1,2,9\n", size+7) // a revision that is not the newest
		strata += span(minute) + fmt.Sprintf(",mean(t),all,%d,3,,1,2,9\n", size)
	}
	put("reports", reports)
	put("strata", strata)
	put("results", "window_start,value\n2026-11-20T10:00:00.000Z,1\n")
	return dir
}

// Panes become the windows of the results, whichever folder of the export is named; those that have not closed wait, and silent ones
// keep their devices.
func TestWindowsArePutTogetherFromPanes(t *testing.T) {
	dir := panesExport(t)
	for _, data := range []string{dir, filepath.Join(dir, "reports"), dir + "/reports/"} {
		got, err := estimate.Run(estimate.Config{Data: data, Stats: []string{"mean(t)"}})
		if err != nil {
			t.Fatal(err)
		}
		// A silent pane joins the stratum of its neighbour.
		for i, want := range []struct {
			start string
			value float64
			notes string
		}{
			{"2026-11-20T09:59:00Z", 11, "holds 1 of its 2 panes"},
			{"2026-11-20T10:00:00Z", 11, "estimated with those around them"},
			{"2026-11-20T10:01:00Z", 22, "estimated with those around them"},
		} {
			if len(got) != 3 || got[i].By["window_start"] != want.start || got[i].Value == nil || math.Abs(*got[i].Value-want.value) > 1e-12 ||
				!strings.Contains(strings.Join(got[i].Warnings, "; "), want.notes) {
				t.Errorf("%s: %+v, want %+v", data, got, want)
			}
		}
	}
}

// Without strata numbers are of panes; what strata can't tell is refused.
func TestStrataThatDoNotTell(t *testing.T) {
	dir := panesExport(t)
	path := filepath.Join(dir, "strata", "kappa=k1", "part.csv")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for says, c := range map[string]struct{ stat, old, now string }{
		"share panes with the ones before": {"change(mean(t))", "", ""},
		"lack the column window_panes":     {"mean(t)", "window_panes", "panes"},
		"without turn_panes":               {"mean(t)", ",1,2,9", ",1,2,0"},
		"two sizes":                        {"mean(t)", "all,100,", "all,101,"},
		"not among the strata":             {"mean(t)", ",all,", ",a,"},
		"not positive":                     {"mean(t)", "all,50,", "all,0,"},
	} {
		if err := os.WriteFile(path, []byte(replaced(string(text), c.old, c.now)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := estimate.Run(estimate.Config{Data: dir, Stats: []string{c.stat}}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "strata")); err != nil {
		t.Fatal(err)
	}
	got, err := estimate.Run(estimate.Config{Data: dir, Stats: []string{"mean(t)"}})
	if err != nil || len(got) != 3 || got[0].By["window_start"] != "2026-11-20T10:00:00Z" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err = estimate.Run(estimate.Config{Data: filepath.Join(dir, "none"), Stats: []string{"mean(t)"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such folder: %v", err)
	}
}

// replaced is a text with another one in place of a part of it, which may be empty.
func replaced(text, old, now string) string {
	if old == "" {
		return text
	}
	return strings.ReplaceAll(text, old, now)
}
