package plan_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
)

var update = flag.Bool("update", false, "write what the code does into testdata, to be read before it is committed")

// TestCases runs testdata/explain.txtar; its first lines say how a case is written.
func TestCases(t *testing.T) {
	const path = "testdata/explain.txtar"
	archive, err := txtar.ParseFile(path)
	if err != nil || len(archive.Files) < 20 {
		t.Fatalf("%d files: %v", len(archive.Files), err)
	}
	var out []txtar.File
	for i := 0; i < len(archive.Files); i++ {
		in := archive.Files[i]
		name, ok := strings.CutSuffix(in.Name, ".sql")
		if !ok {
			t.Fatalf("%s is no .sql file", in.Name)
		}
		got := explain(t, string(in.Data))
		out = append(out, in, txtar.File{Name: name + ".want", Data: []byte(got)})
		if i+1 < len(archive.Files) && archive.Files[i+1].Name == name+".want" {
			i++
			if want := string(archive.Files[i].Data); got != want && !*update {
				t.Errorf("%s\n%s\ngot:\n%s\nwant:\n%s", name, in.Data, got, want)
			}
		} else if !*update {
			t.Errorf("%s has no .want behind it", in.Name)
		}
	}
	if *update {
		archive.Files = out
		if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// explain plans a case and prints the plan or the refusal.
func explain(t *testing.T, text string) string {
	t.Helper()
	var sizes []any
	var homes []plan.Member
	params := map[string]float64{}
	opt := plan.Options{Ref: "k7f3q2", Revision: 1, FromWindow: 29_000_000, Pilot: map[string]map[string]float64{}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 5 && words[1] == "frame":
			n, err := strconv.Atoi(words[4])
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, strings.Trim(words[2], "?"), strings.Trim(words[3], "?"), n)
		case len(words) == 6 && words[1] == "homes":
			homes = append(homes, households(t, len(homes), words[2:])...)
		case len(words) == 4 && words[1] == "param":
			params[words[2]] = number(t, words[3])
		case len(words) == 5 && words[1] == "pilot":
			if opt.Pilot[words[2]] == nil {
				opt.Pilot[words[2]] = map[string]float64{}
			}
			opt.Pilot[words[2]][words[3]] = number(t, words[4])
		}
	}
	s, err := script.Prepare(text, params)
	if err != nil {
		return err.Error() + "\n"
	}
	rev, err := plan.Build(s, append(fleet(sizes...), homes...), opt)
	var no *plan.Infeasible
	switch {
	case errors.As(err, &no):
		out := fmt.Sprintf("infeasible: %s\nbest margin %.4g, best panel %d\n", no.Reason, no.BestMargin, no.BestPanel)
		for _, o := range no.Options {
			out += "would help: " + o + "\n"
		}
		return out
	case err != nil:
		return err.Error() + "\n"
	}
	return show(rev.GetPlan())
}

// households makes gateways with units behind them, of which every second one has no cooling: region, cooling, gateways, units.
func households(t *testing.T, before int, words []string) []plan.Member {
	t.Helper()
	gateways, units := int(number(t, words[2])), int(number(t, words[3]))
	var out []plan.Member
	for g := range gateways {
		gateway := fmt.Sprintf("home%d-%d", before, g)
		for u := range units {
			attributes := map[string]string{"region": words[0], "gateway": gateway}
			if u%2 == 0 {
				attributes["cooling_type"] = words[1]
			}
			out = append(out, plan.Member{ID: fmt.Sprintf("%s-%d", gateway, u), Attributes: attributes})
		}
	}
	return out
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ", can't be had: " + reason
}

func show(p *quadratv1.Plan) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	panes := max(1, p.GetPanes())
	line("population %d, panel %d, lap %d windows of %gs, grace %gs, %s, %s", p.GetPopulation(), p.GetPanel(),
		p.GetLapWindows(), p.GetWindowSeconds()/float64(panes), p.GetGraceSeconds(), p.GetRotation(), p.GetAllocation())
	if panes > 1 {
		line("a result is of %d of them", panes)
	}
	y := p.GetPrivacy()
	line("privacy %s by %s, epsilon %g a report, %g per %s and %s", y.GetModel(), y.GetMechanism(),
		y.GetEpsilonPerReport(), y.GetEpsilonPerPeriod(), y.GetUnit(), y.GetPeriod())
	if y.GetEpsilonPerValue() > 0 {
		line("epsilon %g a category", y.GetEpsilonPerValue())
	}
	line("a device and day: %.4g reports, %.4g bytes, epsilon %.4g",
		p.GetReportsPerDeviceDay(), p.GetBytesPerDeviceDay(), p.GetEpsilonPerDeviceDay())
	for _, s := range p.GetStrata() {
		line("stratum %s: %d devices, %.4g a window", s.GetName(), s.GetPopulation(), s.GetPanel())
	}
	for _, s := range p.GetStatistics() {
		line("%s: ±%.4g at %g by %.4g reports, deviation %.4g, noise %.4g", s.GetName(), s.GetMargin(), p.GetConfidence(),
			s.GetPanel(), s.GetAssumedStdDev(), s.GetNoiseStdDev())
		for _, c := range s.GetCells() {
			var names []string
			for k, v := range c.GetCell() {
				names = append(names, k+"="+v)
			}
			slices.Sort(names)
			line("  %s: ±%.4g by %.4g reports of %d devices", strings.Join(names, ", "), c.GetMargin(), c.GetPanel(), c.GetPopulation())
		}
	}
	if a := p.GetAlternative(); a != nil {
		line("%s instead: %d devices a window, epsilon %g a report%s", a.GetRotation(), a.GetPanel(), a.GetEpsilonPerReport(), because(a.GetReason()))
		for _, s := range a.GetStatistics() {
			line("  %s: ±%.4g by %s, %.4g times the variance", s.GetName(), s.GetMargin(), s.GetMechanism(), s.GetVarianceRatio())
		}
	}
	for _, w := range p.GetWarnings() {
		line("warning: %s", w)
	}
	return b.String()
}
