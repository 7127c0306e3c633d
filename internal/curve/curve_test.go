package curve

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/subset"
)

func question(s Statistic) Question {
	return Question{Statistic: s, Lo: 10, Hi: 40, Bins: 32, Level: 0.9, Devices: 1000, From: 0.1, To: 8, Steps: 20}
}

// TestFormulas compares with the closed forms of Duchi et al. 2018, Laplace, Warner 1965 and Wang et al. 2017.
func TestFormulas(t *testing.T) {
	const span, n, share = 30.0, 1000.0, 1.0 / 32
	formulas := map[string]func(x float64) float64{
		"duchi":            func(e float64) float64 { c := (math.Exp(e) + 1) / (math.Exp(e) - 1); return span * span * c * c / 4 },
		"discrete-laplace": func(e float64) float64 { return span * span * 2 / e / e },
		"warner":           func(e float64) float64 { x := math.Exp(e); return x / (x - 1) / (x - 1) },
		"oue": func(e float64) float64 {
			p, q := 0.5, 1/(math.Exp(e)+1)
			return (share*p*(1-p) + (1-share)*q*(1-q)) / (p - q) / (p - q)
		},
		"grr": func(e float64) float64 {
			q := 1 / (math.Exp(e) + 31)
			p := math.Exp(e) * q
			return (share*p*(1-p) + (1-share)*q*(1-q)) / (p - q) / (p - q)
		},
	}
	seen := 0
	for _, s := range []Statistic{Mean, Proportion, Histogram} {
		points, err := Compute(question(s))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			if f := formulas[p.Mechanism]; f != nil {
				seen++
				// ε is rounded down to a millionth, and the discrete Laplace has steps.
				if want := math.Sqrt(f(p.Epsilon) / n); math.Abs(p.StdError-want) > 1e-4*want {
					t.Errorf("%s at ε=%v: %v, want %v", p.Mechanism, p.Epsilon, p.StdError, want)
				}
			}
			if p.OptIn != (p.Mechanism == "discrete-laplace") {
				t.Errorf("%s takes an opt-in: %v", p.Mechanism, p.OptIn)
			}
		}
	}
	if seen != 5*20 {
		t.Errorf("%d points were compared", seen)
	}
}

// TestSums: a total and a count are as many times as uncertain as there are devices, and a frequency is as uncertain as a histogram.
func TestSums(t *testing.T) {
	for sum, c := range map[Statistic]struct {
		of    Statistic
		times float64
	}{Total: {Mean, 1000}, Count: {Proportion, 1000}, Frequency: {Histogram, 1}} {
		of, errOf := Compute(question(c.of))
		got, err := Compute(question(sum))
		if err != nil || errOf != nil || len(got) != len(of) {
			t.Fatal(sum, err, errOf)
		}
		for i := range of {
			if want := c.times * of[i].StdError; math.Abs(got[i].StdError-want) > 1e-12*want || got[i].Mechanism != of[i].Mechanism {
				t.Errorf("%s: %+v, want %g", sum, got[i], want)
			}
		}
	}
}

// TestQuantiles compares with draws of the mechanism: scored, they have the variance of the share below, and the density of a normal
// population turns that into a place. 40,000 draws on either side leave a hundredth; three are allowed.
func TestQuantiles(t *testing.T) {
	for _, s := range []Statistic{Quantile, Median} {
		q := question(s)
		q.From, q.To, q.Steps, q.Devices = 1, 2, 2, 1e9 // so many devices that 64 bins are taken
		points, err := Compute(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			e, err := privacy.NewEpsilon(p.Epsilon)
			if err != nil {
				t.Fatal(err)
			}
			level, z, below := 0.5, 0.0, 32
			if s == Quantile {
				level, z, below = 0.9, 1.2815515655446004, 42 // 64·(1/2 + z/8)
			}
			density := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) / (30.0 / 8)
			want := math.Sqrt(drawn(t, e, below, level)/1e9) / density
			if math.Abs(p.StdError-want) > 0.03*want {
				t.Errorf("%s at ε=%v: %g, draws have %g", s, p.Epsilon, p.StdError, want)
			}
		}
	}
}

// drawn is the noise variance of the score of a share below, of which the share is level, by draws.
func drawn(t *testing.T, e privacy.Epsilon, below int, level float64) float64 {
	t.Helper()
	const draws = 40_000
	m, err := subset.New(e, 64)
	if err != nil {
		t.Fatal(err)
	}
	src, rates := privacy.NewSeeded(5), m.Rates()
	variance := 0.0
	for _, side := range []struct {
		category uint32
		weight   float64
	}{{0, level}, {63, 1 - level}} {
		sum, squares := 0.0, 0.0
		for range draws {
			report, err := m.Randomise(side.category, src, nil)
			if err != nil {
				t.Fatal(err)
			}
			found, err := m.Supported(report, nil)
			if err != nil {
				t.Fatal(err)
			}
			score := 0.0
			for _, category := range found {
				if int(category) < below {
					score++
				}
			}
			score /= rates.Truth - rates.Other
			sum, squares = sum+score, squares+score*score
		}
		variance += side.weight * (squares/draws - sum/draws*sum/draws)
	}
	return variance
}

// TestPicture: the picture is XML, all in it is finite, and each mechanism has a line and a name.
func TestPicture(t *testing.T) {
	for _, s := range Statistics() {
		points, err := Compute(question(s))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := SVG(&b, question(s), points); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s: a number isn't finite", s)
		}
		lines := 0
		for in := xml.NewDecoder(&b); ; {
			token, err := in.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
				lines++
			}
		}
		if want := 2 * len(question(s).names()); lines != want {
			t.Errorf("%s: %d lines, want %d", s, lines, want)
		}
	}
	if err := SVG(io.Discard, question(Mean), nil); err == nil {
		t.Error("a picture of nothing")
	}
}

// TestPictureKeepsItsBytes holds a picture against one that is kept. After a wanted change it is made anew:
//
//	quadrat privacy curve --statistic mean --lo 10 --hi 40 --steps 20 --format svg --out internal/curve/testdata/mean.svg
func TestPictureKeepsItsBytes(t *testing.T) {
	want, err := os.ReadFile("testdata/mean.svg")
	if err != nil {
		t.Fatal(err)
	}
	points, err := Compute(question(Mean))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := SVG(&b, question(Mean), points); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("another picture than testdata/mean.svg: %v", err)
	}
}

func TestThousands(t *testing.T) {
	if got := thousands(1234567); got != "1,234,567" || thousands(12) != "12" {
		t.Errorf("%s", got)
	}
}

func TestRefusals(t *testing.T) {
	for name, edit := range map[string]func(q *Question){
		"statistic": func(q *Question) { q.Statistic = "mode" },
		"--hi":      func(q *Question) { q.Hi = q.Lo },
		"--devices": func(q *Question) { q.Devices = math.NaN() },
		"--share":   func(q *Question) { q.Share = 2 },
		"--to":      func(q *Question) { q.To = 30 },
		"--from":    func(q *Question) { q.From = 0 },
		"--steps":   func(q *Question) { q.Steps = 1 },
		"--level":   func(q *Question) { q.Statistic, q.Level = Quantile, 1 },
		"--bins":    func(q *Question) { q.Statistic, q.Bins = Histogram, 1 },
	} {
		q := question(Mean)
		edit(&q)
		if _, err := Compute(q); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
