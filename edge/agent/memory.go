package agent

import (
	"strconv"

	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// Memory is what permanent answers need to stay the same: a secret, and a ledger that remembers which categories were charged.
// *File of package edge/ledger is one for real devices, Kept one for simulated ones.
type Memory interface {
	// Secret returns the device's secret, always the same, or an error when it is lost; then nothing may be answered. Nobody may
	// change it.
	Secret() (*[privacy.SecretBytes]byte, error)
	// ReserveValue makes the charge for the category with that mark unless it was made before. Like Reserve of a Ledger it returns
	// a ledger.Refusal or another error when nothing may be answered.
	ReserveValue(c ledger.Charge, tag [ledger.TagBytes]byte) error
}

// Kept is a Memory that is lost with the process, for simulated devices.
type Kept struct {
	*ledger.Book

	Key [privacy.SecretBytes]byte
}

// Secret returns the key.
func (k *Kept) Secret() (*[privacy.SecretBytes]byte, error) { return &k.Key, nil }

// questionOf names what is asked to permanent answers. Kappas that ask the same share one answer and its charge, whatever their
// windows, their samples and what a report of theirs tells; another summary, other bounds or another capability are another question.
// Number of categories and epsilon are added by package memo.
func questionOf(capability string, w *wire.StatisticPlan) string {
	kind := "bins"
	if w.Kind == "frequency" {
		kind = "wholes"
	}
	return key([]string{
		capability, w.Reading, w.Summary, kind, strconv.FormatInt(w.LoMicro, 10), strconv.FormatInt(w.HiMicro, 10),
	})
}

// keptAnswer charges the category if it is new, and answers with its permanent answer, randomised a second time. The second round is
// derived from secret, question, category and window: whatever happens to a report on its way, and however often the device starts
// anew, a window has one answer to a category.
func (a *Agent) keptAnswer(p *Plan, s *statistic, x privacy.Micro, window int64) (int64, Outcome, error) {
	secret, err := a.config.Memory.Secret()
	if err != nil {
		return 0, RefusedSecret, err
	}
	if a.key == nil {
		a.key = privacy.NewKey(secret)
	}
	key := a.key
	category, charge := s.category(x), p.charge(window)
	if err := a.config.Memory.ReserveValue(charge, s.memo.Tag(key, s.question, category)); err != nil {
		return 0, Refusal(err), err
	}
	var buffer [mechanisms.ReportBytes]byte
	report, err := s.memo.Answer(key, s.question, charge.WindowStart.UnixMilli(), category, buffer[:0])
	if err != nil {
		return 0, EntropyFailed, err
	}
	return asNumber(report), Reported, nil
}
