package verify

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
	"github.com/quadrat-dev/quadrat/privacy/olh"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	"github.com/quadrat-dev/quadrat/privacy/threeoutput"
)

// report is a row of Parquet.
type report struct {
	device, window, mechanism string
	score, epsilon            float64
	set                       uint64 // of categories, bit v for category v
	code                      uint64 // of answers that are no set
	categories                uint32
}

func readReports(folder string) ([]report, error) {
	t, err := tabular.Read(folder, tabular.Want{
		Numbers: []string{"score", "epsilon", "answer", "answer_code", "answer_categories"}, Labels: []string{"device", "window_start", "mechanism"},
	})
	if err != nil {
		return nil, err
	}
	text := func(column string, i int) string {
		l := t.Label(column)
		if l.Codes[i] < 0 {
			return ""
		}
		return l.Levels[l.Codes[i]]
	}
	whole := func(column string, i int) uint64 {
		if x := t.Number(column)[i]; x > 0 {
			return uint64(x) // sets of four bits and codes below 2³², which a double holds
		}
		return 0
	}
	out := make([]report, t.Rows)
	for i := range out {
		out[i] = report{
			device: text("device", i), window: text("window_start", i), mechanism: text("mechanism", i),
			score: t.Number("score")[i], epsilon: t.Number("epsilon")[i],
			set: whole("answer", i), code: whole("answer_code", i), categories: uint32(whole("answer_categories", i)),
		}
	}
	return out, nil
}

// reader tells which side of the coin a stored report speaks for.
type reader struct {
	claimed privacy.Epsilon
	wave    *squarewave.Mechanism
	hashed  map[uint32]privacy.Categorical
}

func newReader(claimed privacy.Epsilon) (*reader, error) {
	wave, err := squarewave.New(claimed)
	return &reader{claimed: claimed, wave: wave, hashed: map[uint32]privacy.Categorical{}}, err
}

// side guesses the coin from a report: the side of the middle on which a score or a code lies, or the coin's own bin if it is among
// the categories that the report supports and the other's isn't. ok is false when the report says nothing.
func (r *reader) side(of report) (isHeads, ok bool, err error) {
	switch of.mechanism {
	case "subset", memo.Name:
		up, down := of.set>>(of.categories-1)&1 == 1, of.set&1 == 1
		return up, up != down, nil
	case olh.Name:
		up, down, err := r.supports(of)
		return up, up != down, err
	case squarewave.Name:
		return 2*of.code >= uint64(r.wave.Codes()), true, nil
	case "warner":
		return of.score > 0.5, true, nil
	default:
		return of.score > middle, of.score != middle, nil
	}
}

// supports tells whether a hash supports the last and the first bin.
func (r *reader) supports(of report) (last, first bool, err error) {
	m := r.hashed[of.categories]
	if m == nil {
		if m, err = mechanisms.InReport(olh.Name, mechanisms.Price{Report: r.claimed}, of.categories); err != nil {
			return false, false, err
		}
		r.hashed[of.categories] = m
	}
	sent := make([]byte, m.Bytes())
	for i := range sent {
		sent[i] = byte(of.code >> (8 * i))
	}
	found, err := m.Supported(sent, nil)
	return slices.Contains(found, of.categories-1), slices.Contains(found, 0), err
}

// reached are the mechanisms whose reports are right as often as any report of that ε can be, when both sides of the coin are as far
// apart as inputs can be.
var reached = []string{"warner", "duchi", threeoutput.Name, "subset", olh.Name, memo.Name}

// truthOf tells which pseudonyms have heads.
func truthOf(coins []indoor.Place, keyer fleet.Keyer) map[string]bool {
	truth := make(map[string]bool, len(coins))
	for _, p := range coins {
		truth[fmt.Sprintf("%016x", uint64(keyer.Key(p.ID)))] = p.Readings[0] == heads
	}
	return truth
}

// guesses counts right ones.
type guesses struct{ right, all, strangers int }

func (g *guesses) add(guessed, known, is bool) {
	switch {
	case !known:
		g.strangers++
	default:
		g.all++
		if guessed == is {
			g.right++
		}
	}
}

// guess counts right guesses by mechanism. No rule whatever guesses right more often than e^ε/(e^ε+1) of the time, report by report
// and independently, so that the number of right guesses lies below that binomial's tail. Where reports can be as right as that
// they must be. With permanent answers the reports of one device hang together: one of each is judged by the ε of a report, and
// all of them, by which side most of them speak for, by that of a category.
func (q question) guess(stored []report, truth map[string]bool) ([]Check, error) {
	r, err := newReader(q.claimed)
	if err != nil {
		return nil, err
	}
	single, votes := map[string]*guesses{}, map[string]int{}
	for _, row := range stored {
		guessed, ok, err := r.side(row)
		if err != nil {
			return nil, err
		}
		is, known := truth[row.device]
		g := single[row.mechanism]
		if g == nil {
			g = &guesses{}
			single[row.mechanism] = g
		}
		if _, voted := votes[row.device]; ok && (q.kept == 0 || !voted) || !known {
			g.add(guessed, known, is)
		}
		if ok {
			votes[row.device] += map[bool]int{true: 1, false: -1}[guessed]
		}
	}
	var out []Check
	for _, name := range slices.Sorted(maps.Keys(single)) {
		check := single[name].check(name, q.claimed, slices.Contains(reached, name))
		if q.gateway {
			check.Mechanism += ", gateways"
		}
		out = append(out, check)
	}
	if q.kept == 0 {
		return out, nil
	}
	all := &guesses{}
	for device, vote := range votes {
		if is, known := truth[device]; vote != 0 {
			all.add(vote > 0, known, is)
		}
	}
	return append(out, all.check(memo.Name+", all windows", q.kept, false)), nil
}

// enough guesses show that guessing works at all.
const enough = 1000

// check holds the guesses against what ε allows.
func (g *guesses) check(name string, e privacy.Epsilon, reached bool) Check {
	best := 1 / (1 + math.Exp(-e.Float64()))
	holds := g.all > 0 && g.strangers == 0 && audit.AtLeast(g.right, g.all, best) >= falseAlarm
	switch {
	case reached:
		holds = holds && audit.AtMost(g.right, g.all, best) >= falseAlarm
	case g.all >= enough:
		holds = holds && audit.AtLeast(g.right, g.all, 0.5) < falseAlarm // or the guesses say nothing
	}
	text := fmt.Sprintf("%d coins guessed from Parquet, %.2f %% right; ε allows %.2f %% on average",
		g.all, 100*float64(g.right)/float64(max(g.all, 1)), 100*best)
	if g.strangers > 0 {
		text += fmt.Sprintf("; %d reports of unknown devices", g.strangers)
	}
	return Check{Mechanism: name, Epsilon: e.String(), Checked: text, Verdict: verdict(holds)}
}

// spending adds up what each device gave in each period, from what is stored, and looks whether the silent ones are told
// by their readings: everybody was due, so everybody must be there. Reports come question by question.
func spending(stored [][]report, s simulate.Summary, c Config) Check {
	type period struct{ device, window string }
	rows, due, over := 0, 0, 0
	for i, q := range questions() {
		spent := map[period]float64{}
		for _, r := range stored[i] {
			key := period{r.device, r.window}
			if spent[key] += r.epsilon; spent[key] > q.claimed.Float64() {
				over++
			}
		}
		rows += len(stored[i])
		due += q.devices(c) * c.Windows
	}
	text := fmt.Sprintf("%d of %d reports stored, silent nobody; no device gave more than its question's ε in a period of 1 min", rows, due)
	if over > 0 {
		text = fmt.Sprintf("%d of %d reports stored; %d are more than their question's ε in a period of 1 min", rows, due, over)
	}
	return Check{
		Mechanism: "ledger", Epsilon: "0.5…1", Checked: text,
		Verdict: verdict(over == 0 && rows == due && s.Answered == int64(due) && s.Due == int64(due)),
	}
}
