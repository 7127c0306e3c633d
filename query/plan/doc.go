// Package plan turns a checked script and a frame into what devices and engine follow and what people read before
// anything is spent. It stands between query/script and the service.
//
// [Build] groups the frame into strata, chooses mechanism, epsilon and reports per period, sizes and draws the panels of a
// lap and predicts every margin; [NeedsRedraw] says when a deployed plan has to be drawn again. The package does no
// input or output, reads no clock and draws no random numbers: the same script, frame and options give the same plan.
// It must never see a reading.
//
// What a person can mend in the text is a *script.Error; what the fleet can't give is an [*Infeasible] with the best
// that it can and the changes that would reach the wish.
//
//	s, err := script.Prepare(text, params)
//	revision, err := plan.Build(s, members, plan.Options{Ref: "k7f3q2", Revision: 1, FromWindow: next, Salt: salt})
package plan
