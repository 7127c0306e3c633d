package member

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what a member does.
type metrics struct {
	to    prometheus.Registerer
	held  prometheus.Gauge
	taken prometheus.Counter
}

// newMetrics makes the metrics and registers them, unless to is nil.
func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		to: to,
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "quadrat", Subsystem: "member", Name: "parts", Help: "Shares that this process counts, and 1 more when it is the merger.",
		}),
		taken: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "quadrat", Subsystem: "member", Name: "takeovers_total", Help: "Parts taken, free ones and those of owners that ended.",
		}),
	}
	if to == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.held, m.taken} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// of is where the engine of a part registers its metrics, under a label of its own; nil for none. A part that comes back finds its old
// metrics gone.
func (m *metrics) of(part string) prometheus.Registerer {
	if m.to == nil {
		return nil
	}
	return &partRegisterer{Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"part": part}, m.to)}
}

// partRegisterer lets a part's metrics take the place of those of an earlier engine of the same part.
type partRegisterer struct{ prometheus.Registerer }

// Register registers a collector in place of an equal one.
func (r *partRegisterer) Register(c prometheus.Collector) error {
	r.Unregister(c)
	return r.Registerer.Register(c)
}
