package wire

// The subjects of core NATS that a device uses. Device must be an identity that CheckDevice accepts.
const (
	prefixIn    = "quadrat.in."
	prefixHello = "quadrat.hello."
	// PlanSubject carries plans as they are deployed, revised or deleted.
	PlanSubject = "quadrat.plan"
)

// InSubject is where a device sends its reports as requests.
func InSubject(device string) string { return prefixIn + device }

// HelloSubject is where a device announces itself.
func HelloSubject(device string) string { return prefixHello + device }
