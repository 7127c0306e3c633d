package script

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseSQLSorts(t *testing.T) {
	if s, err := ParseSQL("select mean(t) from Kappa.indoor window 1h"); err != nil || s.Stored == nil || s.Stored.Kappa.Text != "indoor" {
		t.Errorf("a question: %+v, %v", s, err)
	}
	if s, err := ParseSQL("SELECT 1;"); err != nil || s.Constant == nil || *s.Constant != 1 {
		t.Errorf("a constant: %+v, %v", s, err)
	}
	// A kappa may be called kappa.
	if s, err := ParseSQL("SELECT * FROM results.kappa"); err != nil || s.Rows == nil || s.Rows.Kappa.Text != "kappa" {
		t.Errorf("rows: %+v, %v", s, err)
	}
}

func TestParseRows(t *testing.T) {
	s, err := ParseSQL(`SELECT window_start AS "time", r.value, epsilon FROM "quadrat"."results"."in door" r
WHERE r.window_start >= TIMESTAMP '2026-11-20 10:00:00' AND statistic = 'mean(t)' AND window_start < '2026-11-20T12:00:00+01:00'
LIMIT 10 OFFSET 5`)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Rows
	since, until := r.Span()
	ten := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	switch {
	case len(r.Columns) != 3 || r.Columns[0].As.Text != "time" || r.Columns[0].Name.Text != "window_start" || r.Columns[2].Name.Text != "epsilon",
		r.Schema.Text != "results" || r.Kappa.Text != "in door", len(r.Same) != 1 || r.Same[0].Texts[0] != "mean(t)",
		!since.Equal(ten) || !until.Equal(ten.Add(time.Hour)), r.Limit != 10 || r.Offset != 5:
		t.Errorf("%+v %v %v", r, since, until)
	}
	for text, schema := range map[string]string{"SELECT * FROM indoor": "results", "SELECT x.time FROM \"Indoor\" x": "results", "SELECT * FROM strata.indoor": "strata"} {
		if s, err := ParseSQL(text); err != nil || s.Rows == nil || s.Rows.Schema.Text != schema || !strings.EqualFold(s.Rows.Kappa.Text, "indoor") {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
	}
	s, err = ParseSQL("SELECT * FROM results.k r WHERE cell IN ('a', 'b') AND time >= '2026-11-20' and r.time <= '2026-11-21T00:00:00Z' order by r.time desc limit 3")
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Rows; len(r.Same) != 1 || len(r.Same[0].Texts) != 2 || r.Order != Descending || r.Limit != 3 || r.UntilMs-r.SinceMs != 86_400_001 {
		t.Errorf("%+v", r)
	}
	for _, text := range []string{"SELECT * FROM reports.k7f3q2", "SELECT x.* FROM reports.k7f3q2 AS x", "SELECT k7f3q2.* FROM quadrat.reports.k7f3q2"} {
		s, err := ParseSQL(text)
		if err != nil || s.Rows == nil || s.Rows.Columns != nil || s.Rows.Limit != math.MaxInt64 {
			t.Errorf("%s: %+v, %v", text, s, err)
			continue
		}
		if since, until := s.Rows.Span(); !since.IsZero() || !until.IsZero() || s.Rows.Empty() {
			t.Errorf("%s: %v, %v", text, since, until)
		}
	}
}

// TestSpanOfWindowStart holds every comparison against what it means for each millisecond around the moment.
func TestSpanOfWindowStart(t *testing.T) {
	base := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for _, written := range []time.Time{base, base.Add(300 * time.Microsecond)} {
		text := written.Format(time.RFC3339Nano)
		for condition, meant := range map[string]func(time.Time) bool{
			"= '" + text + "'":                                   written.Equal,
			"< '" + text + "'":                                   func(x time.Time) bool { return x.Before(written) },
			"<= '" + text + "'":                                  func(x time.Time) bool { return !x.After(written) },
			"> CAST('" + text + "' AS TIMESTAMP)":                func(x time.Time) bool { return x.After(written) },
			">= '" + text + "'":                                  func(x time.Time) bool { return !x.Before(written) },
			"BETWEEN '2026-11-20' AND '" + text + "'":            func(x time.Time) bool { return !x.After(written) },
			"> '" + text + "' AND window_start < '" + text + "'": func(time.Time) bool { return false },
		} {
			s, err := ParseSQL("SELECT * FROM results.k WHERE window_start " + condition)
			if err != nil {
				t.Fatalf("%s: %v", condition, err)
			}
			for ms := -3; ms <= 3; ms++ {
				x := base.Add(time.Duration(ms) * time.Millisecond)
				if got := x.UnixMilli() >= s.Rows.SinceMs && x.UnixMilli() < s.Rows.UntilMs; got != meant(x) {
					t.Errorf("window_start %s holds for %v: %v", condition, x, got)
				}
			}
		}
	}
	for _, none := range []string{"< '0001-01-01'", "< '1969-12-31T23:59:59Z'", "< '1970-01-01'"} {
		if s, err := ParseSQL("SELECT * FROM results.k WHERE window_start " + none); err != nil || !s.Rows.Empty() {
			t.Errorf("window_start %s leaves %+v, %v", none, s, err)
		}
	}
}

func TestParseSQLRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                                        "line 1, column 1: expected SELECT, found the end of the script",
		"DELETE FROM results.k":                                                   "line 1, column 1: expected SELECT, found DELETE (this server is read only",
		"SELECT count(*) FROM results.k":                                          "line 1, column 13: expected a column, found ( (functions are for stored reports",
		"SELECT value ci_low FROM results.k":                                      "line 1, column 14: expected FROM, found ci_low (put AS",
		"SELECT *, value FROM results.k":                                          "line 1, column 8: * stands beside other columns",
		"SELECT * FROM other.results.indoor":                                      "line 1, column 15: expected a schema and a kappa",
		"SELECT *\nFROM results.k ORDER BY value":                                 "line 2, column 25: expected window_start, found value (rows can be ordered by",
		"SELECT * FROM results.k ORDER BY 1":                                      "line 1, column 34: expected a column",
		"SELECT * FROM results.k ORDER BY time, cell":                             "line 1, column 38: expected LIMIT, OFFSET or the end, found , (rows can be",
		"SELECT * FROM results.k ORDER time":                                      "line 1, column 31: expected BY",
		"SELECT * FROM results.k LIMIT 1 ORDER BY time":                           "line 1, column 33: expected a clause of rows or the end, found ORDER (ORDER BY stands before",
		"SELECT * FROM results.k WHERE cell IN ()":                                "line 1, column 40: expected a text",
		"SELECT * FROM results.k WHERE cell IN ('a' 'b')":                         "line 1, column 44: expected a closing parenthesis",
		"SELECT * FROM results.k GROUP BY cell":                                   "line 1, column 25: expected a clause of rows or the end, found GROUP (stored reports can be grouped",
		"SELECT * FROM results.k LIMIT -1":                                        "line 1, column 31: expected a whole number of rows",
		"SELECT * FROM results.k LIMIT 1.5":                                       "line 1, column 31: expected a whole number of rows",
		"SELECT * FROM results.k WHERE value > 3":                                 "line 1, column 37: expected = or IN, found > (a column other than",
		"SELECT * FROM results.k WHERE cell = 3":                                  "line 1, column 38: expected a text, found 3",
		"SELECT * FROM results.k WHERE window_start <> '2026-11-20'":              "line 1, column 44: expected =, <",
		"SELECT * FROM results.k WHERE window_start > 'noon'":                     "line 1, column 46: expected a moment",
		"SELECT * FROM results.k WHERE window_start > '2026-11-20' OR cell = 'a'": "line 1, column 59: expected a clause",
		"SELECT y.value FROM results.k x":                                         "line 1, column 8: y is not the table that is asked",
		"SELECT * FROM results.k; SELECT 1":                                       "line 1, column 26: expected the end, found SELECT",
		"SELECT 1 FROM results.k":                                                 "line 1, column 10: expected the end, found FROM",
		"SELECT mean(t) FROM kappa.k WINDOWS 1h":                                  "line 1, column 29: expected WHERE",
	} {
		_, err := ParseSQL(text)
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestFindColumn(t *testing.T) {
	s, err := ParseSQL("SELECT VALUE, valeu FROM results.k")
	if err != nil {
		t.Fatal(err)
	}
	among := []string{"cell", "value"}
	if i, err := s.Rows.Find(s.Rows.Columns[0].Name, among); err != nil || i != 1 {
		t.Errorf("VALUE: %d, %v", i, err)
	}
	want := `line 1, column 15: results.k has no column "valeu" (did you mean value?)`
	if _, err := s.Rows.Find(s.Rows.Columns[1].Name, among); err == nil || err.Error() != want {
		t.Errorf("valeu: %v", err)
	}
}

// FuzzParseSQL looks for statements that panic, for errors that point outside the text, and for spans that turn around.
func FuzzParseSQL(f *testing.F) {
	f.Add("SELECT a.b AS c, \"d\" FROM quadrat.results.k a WHERE window_start BETWEEN DATE '2026-11-20' AND '2026-11-21' AND cell = '{}' LIMIT 1 OFFSET 2;")
	f.Add("SELECT mean(temperature) FROM kappa.indoor WINDOW 1h")
	f.Add("SELECT time FROM k WHERE time <= '2026-11-20T10:00:00Z' AND cell IN ('a', 'b') ORDER BY time DESC LIMIT 1")
	f.Add("SELECT 1")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSQL(text)
		var e *Error
		switch {
		case errors.As(err, &e) && (e.Line < 1 || e.Column < 1 || e.Line > 1+strings.Count(text, "\n")):
			t.Errorf("an error at line %d, column %d", e.Line, e.Column)
		case err == nil && s.Rows != nil && (s.Rows.SinceMs < 0 || s.Rows.UntilMs < 0 || s.Rows.Limit < 0 || s.Rows.Offset < 0):
			t.Errorf("%+v", s.Rows)
		}
	})
}
