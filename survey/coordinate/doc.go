// Package coordinate draws samples of the same units again and again so that they overlap as much as wanted, and says what
// their overlap does to the variance of change.
//
// Each unit has a permanent random number on a circle (panel.Number). The n units that follow a point of the circle are a
// simple random sample without replacement, whatever the point; moving the point moves the sample (Ohlsson 1995). Two ways
// to move it: [Frame.Follow] from points that lie a fixed shift apart ([Shift]), which a device can follow on its own
// ([Due]), and [Cycle], which steps by ranks and so keeps any overlap exactly. Both bound how often a unit is asked. A full
// overlap is a fixed panel, none is full rotation: fixed panels are best for change, rotation for levels and batteries.
//
// [MeanChange] estimates the change of a stratified mean between two windows, for fixed, partly rotating and independent
// samples, with noisy scores, from moments that merge ([Pairs], survey.Moments). [Between] does the same for the mean or total of a
// domain, with silence, and [BetweenClusters] for samples of clusters: they are what the engine says of FIXED panels.
//
// The permanent random numbers must not depend on what is measured. Schedules are public: no privacy claim rests on them.
// The package draws no random numbers, does no I/O and keeps no state; values may be read concurrently. Errors are
// *[survey.Error]. It stands beside survey/panel, whose arcs are the engine's form of the same law.
package coordinate
