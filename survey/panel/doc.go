// Package panel says which devices report in which window, and which question each of them answers, without a message
// per device.
//
// Each device has a permanent random number on a circle of 2^64 points ([NumberOf]). The engine, which knows the
// frame, cuts the circle of each stratum into consecutive arcs, one for each (window of the lap, statistic) ([Draw]);
// the cuts go out in one broadcast, and device and engine apply the same rule to them ([Rotation.Due]). An arc that
// holds exactly n of the N numbers of a stratum is a simple random sample without replacement of fixed size n, because
// the numbers are independent and uniform (Ohlsson 1995, "Coordination of samples using permanent random numbers").
// Consecutive arcs don't overlap, so a device is due at most once per lap.
//
// The package must never read a clock, allocate on the device's path ([NumberOf], [Rotation.Place], [Rotation.Due]) or
// use floating point there; it imports a handful of small standard packages and builds for microcontrollers. It
// stands between the planner, which draws, and the device and the engine, which follow.
package panel
