// Package gateway is a process that a household or a building trusts: its sensors give it raw readings over the local network, and
// what it lets out are sums over the units behind it, to which it has added noise with google/differential-privacy. Readings stand in
// the memory of the process for as long as a window needs them: in no file, log, error, metric or message. docs/design/gateway.md
// states the law.
//
// A Crew speaks for the units through a collector, which keeps ledger, spool, plans and the line to the server; a Gateway joins it to
// the listener that hears the sensors. Each unit follows plans as an agent does; what is due is a cluster of units, the charge is the
// household's, and the order of a release is law: due, allowed, readings there, charge durable, noise, hand out the bytes.
//
// The library works with 64-bit integers and doesn't compile elsewhere, so neither does the package.
//
//	g, err := gateway.Open(gateway.Parts{Collector: parts, Files: os.DirFS("/")})
//	err = g.Run(ctx)
package gateway
