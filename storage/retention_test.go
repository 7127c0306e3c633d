package storage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// retained is a store of two dates, 2027-01-14 and 15, at the end of the 16th, with a retention.
func retained(t *testing.T, dir string, r Retention) *Store {
	t.Helper()
	s := open(t, dir, Config{FS: newFaultyFS(), Clock: at(2), Retain: r, BytesTarget: 1})
	must(t, s.Restore(0))
	fill(t, s, 0, 20)
	s.Permanent(1200)
	return s
}

// of is the rows, as collect gives them, whose windows start on a date.
func of(date string, rows []string) (out []string) {
	for _, row := range rows {
		if strings.Contains(row, `"window_start":"`+date) {
			out = append(out, row)
		}
	}
	return out
}

func TestRetentionByAge(t *testing.T) {
	dir := t.TempDir()
	s := retained(t, dir, Retention{ReportsAge: 36 * time.Hour})
	want := answers(t, &s.Rows)
	for what, rows := range want {
		if what != "results" && what != "newest" {
			want[what] = of("2027-01-15", rows)
		}
	}
	reports := int64(len(scanAll(t, s)))
	if reports == 0 || len(want["reports"]) == int(reports) {
		t.Fatal("the rows are of one date")
	}
	check := func(s *Store, when string) {
		t.Helper()
		for what, rows := range answers(t, &s.Rows) {
			if !reflect.DeepEqual(rows, want[what]) {
				t.Errorf("%s: %d rows of %s, want %d", when, len(rows), what, len(want[what]))
			}
		}
		tidy(t, s, when)
	}
	must(t, s.Upkeep(context.Background()))
	check(s, "after a round")
	gone, ok := goneOf(t, s, KindReports)
	strata := int64(2 * 2) // windows 23:58 and 23:59 of two strata
	if !ok || gone.Before != "2027-01-15" || gone.Rows != reports-int64(len(want["reports"]))+strata || gone.Segments < 2 || gone.Bytes <= 0 {
		t.Errorf("gone: %+v", gone)
	}
	if _, ok := goneOf(t, s, KindResults); ok {
		t.Error("results are said to be gone")
	}
	again := open(t, dir, Config{FS: newFaultyFS(), Clock: at(2), Retain: Retention{ReportsAge: 36 * time.Hour}})
	must(t, again.Restore(1200))
	check(again, "after a restart")

	late := makeReports(rand.New(rand.NewPCG(1, 1)), 1, 40) // of the window 23:58
	for i := range late {
		late[i].Sequence = 1201
	}
	rec := recordOf(t, late)
	defer rec.Release()
	must(t, again.Reports(rec))
	must(t, again.Commit(1201))
	for what, rows := range answers(t, &again.Rows) {
		if !reflect.DeepEqual(rows, want[what]) {
			t.Errorf("late reports of a date that is gone: %d rows of %s, want %d", len(rows), what, len(want[what]))
		}
	}
	again.Permanent(1201)
	must(t, again.Upkeep(context.Background()))
	check(again, "after late reports and a round")
}

// TestRetentionWaitsForTheCheckpoint hides at once, and removes no file that a replay would write again.
func TestRetentionWaitsForTheCheckpoint(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{FS: newFaultyFS(), Clock: at(9), Retain: Retention{ReportsAge: time.Hour}})
	must(t, s.Restore(0))
	fill(t, s, 0, 3)
	s.Permanent(60)
	must(t, s.Upkeep(context.Background()))
	if n := len(scanAll(t, s)); n != 0 {
		t.Errorf("%d reports are seen, want none", n)
	}
	again := open(t, dir, Config{FS: newFaultyFS(), Clock: at(9), Retain: Retention{ReportsAge: time.Hour}})
	must(t, again.Restore(60))
	fill(t, again, 1, 3)
	again.Permanent(180)
	must(t, again.Upkeep(context.Background()))
	for _, seg := range again.catalog.segments {
		if seg.Kind != KindResults {
			t.Errorf("%s of %s is left", seg.Name, seg.Kind)
		}
	}
	if gone, _ := goneOf(t, again, KindReports); gone.Rows != 3*(60+2) {
		t.Errorf("%d rows are said to be gone, want %d", gone.Rows, 3*(60+2))
	}
}

// TestRetentionCrashes stops the world at every operation of a round that removes a date, and expects either all of its rows or
// none after the restart, and each segment with its file.
func TestRetentionCrashes(t *testing.T) {
	now := at(2)
	for at, crashed := 0, true; crashed; at++ {
		dir, f := t.TempDir(), newFaultyFS()
		fill(t, func() *Store {
			s := open(t, dir, Config{FS: newFaultyFS()})
			must(t, s.Restore(0))
			return s
		}(), 0, 4)
		cfg := Config{FS: f, Clock: now, Retain: Retention{ReportsAge: 36 * time.Hour}, BytesTarget: 1}
		s := open(t, dir, cfg)
		must(t, s.Restore(240))
		all := len(scanAll(t, s))
		f.kind, f.at, f.lost = crash, f.done+at, lostNone
		_ = s.Upkeep(context.Background())
		crashed = f.down
		cfg.FS = newFaultyFS()
		again := open(t, dir, cfg)
		must(t, again.Restore(240))
		tidy(t, again, "after the restart")
		rows := scanAll(t, again)
		if n := len(of("2027-01-15", rows)); len(rows) != all && len(rows) != n || n == 0 || n == all {
			t.Errorf("step %d: %d rows, of which %d are of the date that stays, of %d", at, len(rows), n, all)
		}
	}
}

func TestRetentionBySize(t *testing.T) {
	for _, c := range []struct {
		name             string
		share            func(byKind map[string]int64) int64
		reports, results string // date from which they are left; empty for all
	}{
		{"room for all", func(b map[string]int64) int64 {
			return b["2027-01-14 reports"] + b["2027-01-15 reports"] + b["results"]
		}, "", ""},
		{"a byte too few", func(b map[string]int64) int64 {
			return b["2027-01-14 reports"] + b["2027-01-15 reports"] + b["results"] - 1
		}, "2027-01-15", ""},
		{"results only", func(b map[string]int64) int64 { return b["results"] }, "2027-01-16", ""},
		{"nothing", func(map[string]int64) int64 { return 1 }, "2027-01-16", "2027-01-16"},
	} {
		bytes := map[string]int64{}
		probe := retained(t, t.TempDir(), Retention{})
		for _, seg := range probe.Segments() {
			if seg.Kind == KindResults {
				bytes["results"] += seg.Bytes
			} else {
				bytes[seg.Date+" reports"] += seg.Bytes
			}
		}
		s := retained(t, t.TempDir(), Retention{BytesMax: c.share(bytes)})
		must(t, s.Upkeep(context.Background()))
		for kind, want := range map[Kind]string{KindReports: c.reports, KindResults: c.results} {
			if gone, _ := goneOf(t, s, kind); gone.Before != want {
				t.Errorf("%s: %s before %q are gone, want %q", c.name, kind, gone.Before, want)
			}
		}
		tidy(t, s, c.name)
	}
}

// TestADateThatIsNotOverStays keeps today's rows, though they are more than retention allows.
func TestADateThatIsNotOverStays(t *testing.T) {
	s := open(t, t.TempDir(), Config{FS: newFaultyFS(), Clock: at(0), Retain: Retention{BytesMax: 1}})
	must(t, s.Restore(0))
	fill(t, s, 0, 3)
	s.Permanent(180)
	want := answers(t, &s.Rows)
	must(t, s.Upkeep(context.Background()))
	if got := answers(t, &s.Rows); !reflect.DeepEqual(got, want) {
		t.Error("rows of today are gone")
	}
}

func goneOf(t *testing.T, s *Store, k Kind) (Gone, bool) {
	t.Helper()
	gone, ok, err := s.Gone(t.Context(), k, testRef)
	must(t, err)
	return gone, ok
}

// TestGoldenCatalogs reads catalogs that each version wrote.
func TestGoldenCatalogs(t *testing.T) {
	for name, want := range map[string]catalog{
		"catalog-v1.jsonl": {position: 7, segments: []Segment{{
			Kind: KindReports, Ref: testRef, Date: "2027-01-14", Name: "part-000000000001-000000000007.parquet", First: 1, Last: 7, Rows: 2,
			Bytes: 900, WindowFirstMs: baseMs, WindowLastMs: baseMs + 1,
		}}},
		"catalog-v2.jsonl": {position: 9, segments: []Segment{{
			Kind: KindStrata, Ref: testRef, Date: "2027-01-15", Name: "part-000000000001-000000000009-g2.parquet", First: 1, Last: 9, Rows: 3,
			Bytes: 901, WindowFirstMs: baseMs, WindowLastMs: baseMs + 2, Format: 2, Generation: 2,
		}}, gone: []Gone{{Kind: KindReports, Ref: testRef, Before: "2027-01-15", Segments: 4, Rows: 1 << 40, Bytes: 1 << 41}}},
		"catalog-v2-archive.jsonl": {position: 9, segments: []Segment{{
			Kind: KindReports, Ref: testRef, Date: "2027-01-15", Name: "part-000000000001-000000000009-g1.parquet", First: 1, Last: 9, Rows: 3,
			Bytes: 901, WindowFirstMs: baseMs, WindowLastMs: baseMs + 2, Format: 3, Generation: 1, Archived: strings.Repeat("0f", 32), Remote: true,
		}}, condemned: []condemned{{Object: "reports/kappa=" + testRef + "/date=2027-01-14/part-000000000001-000000000002.parquet"}}},
		"catalog-v3.jsonl": {position: 9, segments: []Segment{{
			Kind: KindReports, Ref: testRef, Date: "2027-01-15", Name: "part-000000000001-000000000009-g1-t4-7.parquet", First: 1, Last: 9, Rows: 3,
			Bytes: blockBytes + 1, WindowFirstMs: baseMs, WindowLastMs: baseMs + 2, Format: 5, Generation: 1, Blocks: strings.Repeat("0f", 2*digestBytes),
		}}, condemned: []condemned{{Object: "catalog/catalog-t4-2.jsonl.zst", SinceMs: baseMs}}},
	} {
		path := filepath.Join("testdata", name)
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) && os.Getenv("QUADRAT_GOLDEN") != "" {
			content, err = want.encode()
			must(t, err)
			must(t, os.WriteFile(path, content, 0o600))
		}
		must(t, err)
		got, err := decodeCatalog(content)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if now, err := want.encode(); strings.HasPrefix(name, fmt.Sprintf("catalog-v%d", catalogVersion)) && (err != nil || string(now) != string(content)) {
			t.Errorf("%s: the bytes changed:\n%s", name, now)
		}
	}
}
