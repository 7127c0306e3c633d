package plan

import (
	"fmt"
	"strings"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// NeedsRedraw tells whether a revision no longer fits the frame, and why: the frame was empty and is not, a combination of
// STRATIFIED BY values appeared, a stratum vanished, or a stratum's size changed by more than a tenth since it was drawn.
// Smaller changes need no new revision: the frame of a window is counted, not assumed. The frame holds the devices that the
// revision's capability, WHERE and model reach, whatever their strata.
func NeedsRedraw(rev *quadratv1.PlanRevision, frame []Member) (redraw bool, reason string) {
	device := rev.GetDevice()
	if len(device.GetStrata()) == 0 {
		return len(frame) > 0, reasonIf(len(frame) > 0, "the frame was empty")
	}
	index := map[string]int{}
	for h, s := range device.GetStrata() {
		for _, v := range s.GetMembers() {
			index[strings.Join(v.GetValues(), "\x00")] = h
		}
	}
	counts := make([]int, len(device.GetStrata()))
	attributes := device.GetStratifiedBy()
	values := make([]string, len(attributes))
	for _, m := range frame {
		for i, a := range attributes {
			values[i] = m.Attributes[a]
		}
		h, ok := index[strings.Join(values, "\x00")]
		if !ok {
			return true, "the stratum " + stratumName(values) + " appeared"
		}
		counts[h]++
	}
	for h, s := range rev.GetPlan().GetStrata() {
		before, now := int(s.GetPopulation()), counts[h]
		if now == 0 {
			return true, "the stratum " + s.GetName() + " vanished"
		}
		if change := max(now-before, before-now); change*10 > before {
			return true, fmt.Sprintf("the stratum %s went from %d to %d devices", s.GetName(), before, now)
		}
	}
	return false, ""
}

func reasonIf(condition bool, reason string) string {
	if condition {
		return reason
	}
	return ""
}

// NextTurn gives the window from which a new revision should let those report who rest in this one: the first window of a
// the next lap, or of a later one when laps are so short that it would come less than 60 windows after the revision came
// into force. ok is false when nobody rests, because all take turns, and for FIXED panels, which stay. Build that revision
// with this window as FromWindow and this revision's device plan as Previous.
func NextTurn(rev *quadratv1.PlanRevision) (window int64, ok bool) {
	device := rev.GetDevice()
	lap := int64(device.GetLapWindows())
	if lap == 0 || rev.GetPlan().GetRotation() == "fixed" {
		return 0, false
	}
	for _, s := range device.GetStrata() {
		ok = ok || Rotation(device, s).Rests()
	}
	if !ok {
		return 0, false
	}
	earliest := device.GetFromWindow() + 1
	if lap < panel.TurnWindows {
		earliest += panel.TurnWindows - 1
	}
	return (earliest + lap - 1) / lap * lap, true
}
