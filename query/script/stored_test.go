package script

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseStored(t *testing.T) {
	q, err := ParseStored("select mean(temperature) AS warm, count(temperature > 26)\nFROM kappa.\"indoor\" WHERE region IN ('asia') GROUP BY region CONFIDENCE 0.9 WINDOW 1h SINCE 1d UNTIL '2026-11-20T10:00:00Z';")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	switch {
	case len(q.Select) != 2 || q.Select[0].Name() != "warm" || q.Kappa.Text != "indoor" || q.Where == nil || len(q.GroupBy) != 1,
		q.Confidence.Value != 0.9, q.Window.Value != time.Hour, q.Since.At(now) != now.Add(-24*time.Hour),
		q.Until.At(now) != time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC):
		t.Errorf("%+v", q)
	}
}

func TestParseStoredRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"FROM kappa.x":   "line 1, column 1: expected SELECT",
		"SELECT mean(t)": "line 1, column 15: expected FROM",
		"SELECT mean(t) FROM kappa.x FROM kappa.y":          "line 1, column 29: FROM stands too late, or twice",
		"SELECT mean(t) FROM kappa.x WINDOW":                "line 1, column 35: expected a duration",
		"SELECT mean(t), mean(t) FROM kappa.x":              "line 1, column 17: two statistics have the name",
		"SELECT mean(t) FROM kappa.x CONFIDENCE 95":         "line 1, column 40: expected a confidence between 0 and 1",
		"SELECT mean(t) FROM kappa.x SAMPLE 10 DEVICES":     "line 1, column 29: the devices of stored reports have been drawn already",
		"SELECT mean(t) FROM kappa.x SAMPLE 101 PERCENT":    "line 1, column 36: expected a number above 0, of percent at most 100",
		"SELECT proportion(t > $a) FROM kappa.x":            "line 1, column 23: a question about stored reports has no parameters",
		"SELECT mean(t) FROM kappa.x UNTIL '2026-13-01'":    "line 1, column 35: expected a moment",
		"SELECT mean(t) FROM kappa.x GRUOP BY a":            "line 1, column 29: expected WHERE, GROUP",
		"SELECT count(DISTINCT t) FROM kappa.x":             "line 1, column 14: count(DISTINCT …) can't be answered",
		"SELECT mean(t) FROM sense.t":                       "line 1, column 21: expected kappa. and a name",
		"SELECT mean(t) FROM kappa.x SINCE 2h PRIVACY NONE": "line 1, column 38: expected UNTIL or the end",
	} {
		_, err := ParseStored(text)
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

// FuzzParseStored looks for questions that panic, and for errors that point outside the text.
func FuzzParseStored(f *testing.F) {
	f.Add("SELECT mean(temperature) FROM kappa.indoor WHERE a = 'b' GROUP BY a SAMPLE 1 PERCENT CONFIDENCE 0.9 WINDOW 1h SINCE 1d UNTIL '2026-11-20'")
	f.Add("SELECT quantile(x, 0.5), proportion(y <= -1.5) FROM kappa.k SAMPLE MARGIN 0.1;")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ParseStored(text)
		var e *Error
		if errors.As(err, &e) && (e.Line < 1 || e.Column < 1 || e.Line > 1+strings.Count(text, "\n")) {
			t.Errorf("an error at line %d, column %d", e.Line, e.Column)
		}
	})
}
