package intake

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what the intake does. No label names a device or a value.
type metrics struct {
	stored     prometheus.Counter
	released   prometheus.Counter
	retried    prometheus.Counter
	crowded    prometheus.Counter
	batches    prometheus.Counter
	unanswered prometheus.Counter
	unburied   prometheus.Counter
	refused    *prometheus.CounterVec // by cause
	seconds    prometheus.Histogram
}

// newMetrics makes the metrics and registers them, unless to is nil.
func newMetrics(to prometheus.Registerer) (*metrics, error) {
	options := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "quadrat", Subsystem: "intake", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(options(name, help)))
	}
	m := &metrics{
		stored:     counter("reports_stored_total", "Reports on disk and answered."),
		released:   counter("releases_stored_total", "Gateways' releases on disk and answered."),
		retried:    counter("reports_retried_total", "Reports and releases that were not stored and that devices are to send again."),
		crowded:    counter("requests_crowded_total", "Requests that were told to come again, since too many waited."),
		batches:    counter("batches_total", "Atomic batches stored."),
		unanswered: counter("unanswered_total", "Answers that could not be sent."),
		unburied:   counter("dead_letters_dropped_total", "Dead letters that were not stored."),
		refused: prometheus.NewCounterVec(
			prometheus.CounterOpts(options("requests_rejected_total", "Requests rejected, by cause.")), []string{"cause"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "quadrat", Subsystem: "intake", Name: "store_seconds", Help: "Time until a batch was on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
	}
	for _, f := range faults() {
		m.refused.WithLabelValues(string(f)) // a cause that never struck shows as 0
	}
	if to == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.stored, m.released, m.retried, m.crowded, m.batches, m.unanswered, m.unburied, m.refused, m.seconds} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
