package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// told prints an account.
func told(t *testing.T, w *tortured) (Account, string) {
	t.Helper()
	a, err := ReadAccount(w.device.parts, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := a.Print(&text); err != nil {
		t.Fatal(err)
	}
	return a, text.String()
}

func TestOwnerReadsTheAccount(t *testing.T) {
	w := torture(t, 1)
	w.open()
	if _, text := told(t, w); !strings.Contains(text, "0 of 12 in 0 reports, left: 12") || !strings.Contains(text, "[....................]  0  left now: 3") {
		t.Error(text)
	}
	for w.minutes < 3 {
		w.minute()
	}
	a, text := told(t, w)
	for _, want := range []string{
		"epsilon 3 in any 10m", "[#################...]  2.5  left now: 0.5", "2.5 of 12 in 3 reports, left: 9.5", "rho 1.125",
		"room (k7f3q2)", "mean(temperature)", "1, at most 1000000 per 10m ", "silent until enough has come back", "No server can raise a limit",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if b, err := json.Marshal(a); err != nil || !strings.Contains(string(b), `"rho_in_lifetime":"`+a.RhoInLifetime+`"`) || !a.Bound || a.Witnessed {
		t.Errorf("%s, %v", b, err)
	}
	w.rest()
	if a, text = told(t, w); a.LeftInLifetime != "0" || !strings.Contains(text, "silent: your limit for ever is reached") {
		t.Error(text)
	}
	w.jump(w.clock.Now().Add(-tortureLength*minute/2), false)
	if _, text = told(t, w); !strings.Contains(text, "it was set back") {
		t.Error(text)
	}
}

// Permanent answers are told in the same words: what a category costs, how many were given, and what comes of a limit or a lost
// secret.
func TestOwnerReadsOfPermanentAnswers(t *testing.T) {
	w := tortureValues(t, 1)
	for w.minutes < 3 {
		w.minute()
	}
	a, text := told(t, w)
	for _, want := range []string{
		"2 once for each category, at most 16 ever", "Permanent:    1 answer.", "cost its epsilon once and costs nothing more", "When a category changed may show",
		"in 2 reports and permanent answers", "answers what it has answered before; silent about anything new",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if a.Values != 1 || a.SecretLost || a.Kappas[0].PerValue != "2" || a.Kappas[0].Period != "ever" {
		t.Errorf("%+v", a)
	}
	if err := w.disk.Remove(ledger.SecretName); err != nil {
		t.Fatal(err)
	}
	if a, text = told(t, w); !a.SecretLost || !strings.Contains(text, "Lost:         ledger.secret") || !strings.Contains(text, "silent: ledger.secret is lost") {
		t.Error(text)
	}
}

// A kappa that is long gone is told of, though not by name.
func TestAccountTellsOfTheForgotten(t *testing.T) {
	a := Account{Kappas: []Spending{}}
	book, err := law.NewBook(law.Limits{PerPeriod: 1, Period: minute, Lifetime: 1})
	if err != nil {
		t.Fatal(err)
	}
	a.charged(book, law.Spent{Epsilon: 2_500_000, Rho: 3_125_000_001, Reports: 7})
	if len(a.Kappas) != 1 || a.Kappas[0].Ref != "(earlier)" || a.Kappas[0].Epsilon != "2.5" || a.Kappas[0].Rho != "3.125000001" {
		t.Errorf("%+v", a.Kappas)
	}
}

// Whatever is wrong with a ledger, the owner reads what to do about it.
func TestEveryFaultIsExplained(t *testing.T) {
	texts := []string{}
	for _, fault := range []error{
		fs.ErrNotExist, disk.ErrLocked, ledger.FaultDevice, ledger.FaultMachine, ledger.FaultRolledBack, ledger.FaultAnchor,
		ledger.FaultMissing, ledger.FaultSecret, law.FaultRecord, law.FaultChain,
	} {
		text := Explain(fmt.Errorf("ledger: %w", fault))
		if len(text) < 40 || slices.Contains(texts, text) {
			t.Errorf("%v: %q", fault, text)
		}
		texts = append(texts, text)
	}
	if Explain(errors.New("something else")) != "" || Explain(nil) != "" {
		t.Error("what isn't known is explained")
	}
}

// A device that is asked for more than its policy gives says so in its log, once a kappa.
func TestLogSaysWhyItIsSilent(t *testing.T) {
	w := torture(t, 1)
	greedy := always(60_000)
	greedy.Ref, greedy.EpsilonMicro, greedy.PlanSetVersion = "greedy", 4_000_000, 3
	log := w.listen()
	w.open()
	reply := w.reply()
	reply.Plans, reply.Live, reply.PlanSetVersion = append(slices.Clone(reply.Plans), greedy), append(reply.Live, "greedy"), 3
	if _, err := w.device.ApplyReply(0, &reply); err != nil {
		t.Fatal(err)
	}
	for w.minutes < 3 {
		end := w.clock.Now().Add(minute).UnixMilli()
		w.minute()
		w.device.make(task{ref: "greedy", window: end/60_000 - 1, end: end})
	}
	text := log.String()
	if n := strings.Count(text, "kappa=greedy"); n != 1 || !strings.Contains(text, "why=refused_epsilon report_costs=4 policy_allows=3") {
		t.Errorf("%d times in\n%s", n, text)
	}
	if h := w.device.Hello(0); h.Counters["refused_epsilon"] != 3 {
		t.Errorf("the hello says %v", h.Counters)
	}
	for h := range w.broker.reports {
		if h.kappa == "greedy" {
			t.Error("it speaks")
		}
	}
}
