package service

import (
	"slices"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// roll finds live kappas by what stands in them, whose number must not make a deployment slower. It is guarded by the mutex of the service.
type roll struct {
	named map[string]string     // references by name
	texts map[string][]string   // references by script
	asked map[question][]string // references by what they ask, the newest last
}

// question is what a statistic asks of a device: where two ask the same, one device's summary has the same spread for both.
type question struct {
	capability, reading, summary, comparison string
	thresholdMicro, loMicro, hiMicro         int64
}

func questionOf(capability string, s *quadratv1.StatisticPlan) question {
	return question{
		capability: capability, reading: s.GetReading(), summary: s.GetSummary(), comparison: s.GetComparison(),
		thresholdMicro: s.GetThresholdMicro(), loMicro: s.GetLoMicro(), hiMicro: s.GetHiMicro(),
	}
}

func newRoll() roll {
	return roll{named: map[string]string{}, texts: map[string][]string{}, asked: map[question][]string{}}
}

// questions are those of a kappa's newest revision, each once.
func questions(record *quadratv1.KappaRecord) []question {
	device := latest(record).GetDevice()
	var out []question
	for _, s := range device.GetStatistics() {
		if q := questionOf(device.GetCapability(), s); s.GetCategories() == 0 && !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	return out
}

// enter takes a live kappa in, in place of what was known of it before, nil for nothing.
func (r *roll) enter(record, before *quadratv1.KappaRecord) {
	now := questions(record)
	if before != nil {
		if slices.Equal(now, questions(before)) && before.GetKappa().GetName() == record.GetKappa().GetName() {
			return
		}
		r.leave(before)
	}
	kappa := record.GetKappa()
	r.named[kappa.GetName()] = kappa.GetRef()
	r.texts[kappa.GetScript()] = append(r.texts[kappa.GetScript()], kappa.GetRef())
	for _, q := range now {
		r.asked[q] = append(r.asked[q], kappa.GetRef())
	}
}

// leave takes a kappa out.
func (r *roll) leave(record *quadratv1.KappaRecord) {
	kappa := record.GetKappa()
	if r.named[kappa.GetName()] == kappa.GetRef() {
		delete(r.named, kappa.GetName())
	}
	without(r.texts, kappa.GetScript(), kappa.GetRef())
	for _, q := range questions(record) {
		without(r.asked, q, kappa.GetRef())
	}
}

// without takes a reference out of a list.
func without[K comparable](lists map[K][]string, key K, ref string) {
	list := lists[key]
	if at := slices.Index(list, ref); at >= 0 {
		list = slices.Delete(list, at, at+1)
	}
	if len(list) == 0 {
		delete(lists, key)
		return
	}
	lists[key] = list
}
