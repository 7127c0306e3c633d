package script_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/query/script"
)

const parametrised = "SELECT proportion(x > $limit)\nFROM a.b\nWHERE year > $y AND NOT region IN ('asia')\nSAMPLE $n DEVICES\nWINDOW 5m\n"

func TestBindFillsDefaults(t *testing.T) {
	s, err := script.Prepare(parametrised, map[string]float64{"limit": 26, "y": 1990, "n": 400})
	if err != nil {
		t.Fatal(err)
	}
	if s.Sample.Rotation != script.Rotating || s.Sample.Confidence.Value != 0.95 || s.Sample.Number.Value != 400 ||
		s.Privacy.Model != script.Local || s.Privacy.Epsilon.Value != 1 || s.Privacy.Per.Value != 24*time.Hour ||
		s.Window.Grace.Value != 30*time.Second || s.Select[0].Number.Value != 26 {
		t.Errorf("defaults:\n%s", s)
	}
	again, err := script.Prepare("  "+parametrised, map[string]float64{"limit": 26, "y": 1990, "n": 500})
	if err != nil || again.Name.Text != s.Name.Text || len(s.Name.Text) != len("kappa_")+8 {
		t.Errorf("the same question has two names: %q %q %v", s.Name.Text, again.Name.Text, err)
	}
	where := s.Where.Attr()
	if !where.Match(map[string]string{"year": "1991", "region": "europe"}) ||
		where.Match(map[string]string{"year": "1990", "region": "europe"}) ||
		where.Match(map[string]string{"year": "1991", "region": "asia"}) {
		t.Error("the condition matches other devices than those asked for")
	}
	if _, err := script.Parse(again.String()); err != nil {
		t.Errorf("a bound script can't be parsed again: %v", err)
	}
}

func TestBindRefuses(t *testing.T) {
	for _, c := range []struct {
		params       map[string]float64
		line, column int
	}{
		{map[string]float64{"limit": 26, "y": 1990}, 4, 8},
		{map[string]float64{"limit": 26, "y": 1990, "n": 400, "m": 2}, 1, 1},
		{map[string]float64{"limit": math.NaN(), "y": 1990, "n": 400}, 1, 23},
		{map[string]float64{"limit": 26, "y": math.Inf(1), "n": 400}, 3, 14},
		{map[string]float64{"limit": 26, "y": 1990, "n": 2.5}, 4, 8},
	} {
		_, err := script.Prepare(parametrised, c.params)
		var e *script.Error
		if !errors.As(err, &e) || e.Line != c.line || e.Column != c.column {
			t.Errorf("%v: got %v, want an error at %d:%d", c.params, err, c.line, c.column)
		}
	}
}

func TestParsePredicate(t *testing.T) {
	if p, err := script.ParsePredicate("  "); p != nil || err != nil || !p.Attr().Match(nil) {
		t.Errorf("empty text: %v %v", p, err)
	}
	p, err := script.ParsePredicate("region = 'asia' OR year >= 1990 AND city IS NULL")
	if err != nil || !p.Attr().Match(map[string]string{"year": "2000"}) {
		t.Errorf("%v %v", p, err)
	}
	for text, column := range map[string]int{"region =": 9, "region = 'a' b": 14, "year > $y": 8, "temperature": 12} {
		_, err := script.ParsePredicate(text)
		var e *script.Error
		if !errors.As(err, &e) || e.Column != column {
			t.Errorf("%s: got %v, want an error in column %d", text, err, column)
		}
	}
}

// TestBindFillsReport holds that REPORT is half of epsilon where none is written, in whole millionths, and that PER VALUE has no period.
func TestBindFillsReport(t *testing.T) {
	text := "SELECT frequency(x) FROM a.b WINDOW 7m PRIVACY LOCAL EPSILON $e PER VALUE BETWEEN 0 AND 7"
	for epsilon, want := range map[float64]float64{2: 1, 1: 0.5, 0.000003: 0.000001, 2.000001: 1} {
		s, err := script.Prepare(text, map[string]float64{"e": epsilon})
		if err != nil || !s.Privacy.PerValue || s.Privacy.Report.Value != want || s.Privacy.Per != nil {
			t.Errorf("epsilon %g: %+v %v", epsilon, s, err)
		}
	}
	for _, e := range []float64{0, 21, 0.000001} {
		if _, err := script.Prepare(text, map[string]float64{"e": e}); err == nil {
			t.Errorf("epsilon %g was accepted", e)
		}
	}
}
