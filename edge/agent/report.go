package agent

import (
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// Report makes the report of a window that has ended, as an IntakeRequest behind b, or says why there is none; err is
// the cause for the outcomes Refused… , LedgerFailed and EntropyFailed. It reports a window at most once, and none before
// a window that it has reported. When it returns Reported the charge is durable and the bytes are the only ones that
// this window will ever have: spool them, and send those again when in doubt.
func (a *Agent) Report(b []byte, ref string, window int64) (request []byte, outcome Outcome, err error) {
	request, outcome, err = a.report(b, ref, window)
	a.counts[outcome]++
	return request, outcome, err
}

func (a *Agent) report(b []byte, ref string, window int64) ([]byte, Outcome, error) {
	h, r, index, outcome := a.asked(ref, window)
	if outcome == Reported && r.plan.wire.Model == Gateway && a.config.Gateway != "" {
		outcome = RefusedModel // its gateway answers, with a release
	}
	if outcome != Reported {
		return b, outcome, nil
	}
	value, outcome, err := a.answer(r.plan, index, window)
	if outcome != Reported {
		return b, outcome, err
	}
	h.reported = (window + 1) * int64(r.plan.wire.WindowMs)
	out := wire.Report{
		Device: a.config.Device, Kappa: ref, Revision: r.number, Window: window, Statistic: index, Value: value,
	}
	return out.AppendRequest(b), Reported, nil
}

// asked looks up what a window asks of the device; Reported stands for: as far as plan and policy go, there is to be a report.
func (a *Agent) asked(ref string, window int64) (h *held, r *revision, index uint32, o Outcome) {
	h = a.find(ref)
	if h == nil {
		return nil, nil, 0, Unknown
	}
	r = h.inForce(window)
	index, due := r.arc(window)
	switch {
	case !due:
		o = NotDue
	case r.plan.wire.Paused:
		o = Paused
	case r.standing == ForbidsModel:
		o = RefusedModel
	case r.standing == ForbidsEpsilon:
		o = RefusedEpsilon
	case r.standing == KeepsNothing:
		o = RefusedSecret
	case window*int64(r.plan.wire.WindowMs) < h.reported:
		o = Repeated
	}
	return h, r, index, o
}

// answer summarises, charges and randomises, in this order.
func (a *Agent) answer(p *Plan, index uint32, window int64) (int64, Outcome, error) {
	s := &p.statistics[index]
	readings := a.config.Readings.Summary(p.series(int(index)), window)
	x, ok := readings.Value(s.summary)
	if !ok {
		return 0, NoReadings, nil
	}
	if s.mechanism == nil && s.set == nil {
		return s.open(x), Reported, nil
	}
	if s.memo != nil {
		return a.keptAnswer(p, s, x, window)
	}
	if err := a.config.Ledger.Reserve(p.charge(window)); err != nil {
		return 0, Refusal(err), err
	}
	value, err := s.randomise(x, a.config.Source)
	if err != nil {
		return 0, EntropyFailed, err
	}
	return value, Reported, nil
}
