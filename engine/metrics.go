package engine

import "github.com/prometheus/client_golang/prometheus"

// The outcomes of a report beside the causes.
const (
	outcomeCounted   = "counted"
	outcomeDuplicate = "duplicate"
)

// metrics counts what the engine does. No label names a device or a value.
type metrics struct {
	reports  *prometheus.CounterVec // by outcome: counted, duplicate, or a cause
	heard    prometheus.Counter     // those that are counted
	releases *prometheus.CounterVec // by outcome, as reports
	late     prometheus.Counter
	closed   prometheus.Counter
	shed     prometheus.Counter
	revised  prometheus.Counter
	results  prometheus.Counter
	retries  *prometheus.CounterVec // by what failed
	saved    prometheus.Counter
	lost     prometheus.Counter
	position prometheus.Gauge
	trimmed  prometheus.Gauge
	bytes    prometheus.Gauge

	handed, repeated, refusedHandovers prometheus.Counter
}

// newMetrics makes the metrics and registers them, unless to is nil.
func newMetrics(to prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "quadrat", Subsystem: "engine", Name: name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(
			prometheus.CounterOpts{Namespace: "quadrat", Subsystem: "engine", Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "quadrat", Subsystem: "engine", Name: name, Help: help})
	}
	m := &metrics{
		reports:          vector("reports_total", "Reports read, by what became of them.", "outcome"),
		releases:         vector("releases_total", "Releases of gateways read, by what became of them.", "outcome"),
		late:             counter("late_reports_total", "Reports counted after their window had closed."),
		shed:             counter("windows_let_go_total", "Closed windows that can't be revised any more, since all took too much memory."),
		closed:           counter("windows_closed_total", "Windows closed."),
		revised:          counter("windows_revised_total", "Revisions of closed windows."),
		results:          counter("results_total", "Results published."),
		retries:          vector("retries_total", "Output that had to be tried again, by what failed.", "what"),
		saved:            counter("checkpoints_total", "Checkpoints written."),
		lost:             counter("messages_lost_total", "Messages of REPORTS that went before they were read."),
		trimmed:          gauge("trimmed_position", "Position in REPORTS up to which messages behind the checkpoint were trimmed since the start."),
		position:         gauge("position", "Position in REPORTS of the newest checkpoint."),
		bytes:            gauge("checkpoint_bytes", "Size of the newest checkpoint."),
		handed:           counter("handovers_total", "Parts of handovers put into PARTIALS."),
		repeated:         counter("handovers_repeated_total", "Parts of handovers that stood in PARTIALS already."),
		refusedHandovers: counter("handovers_refused_total", "Windows in handovers that the merger could not add; above 0 is a fault."),
	}
	m.heard = m.reports.WithLabelValues(outcomeCounted)
	for _, v := range []*prometheus.CounterVec{m.reports, m.releases} { // what never came shows as 0
		v.WithLabelValues(outcomeCounted)
		v.WithLabelValues(outcomeDuplicate)
		for c := range causes {
			v.WithLabelValues(c.String())
		}
	}
	for _, what := range []string{"reports", "results", "results stream", "dead letters", "commit", "checkpoint", "consumer", "trim"} {
		m.retries.WithLabelValues(what) // of what every engine does
	}
	if to == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.reports, m.releases, m.late, m.closed, m.shed, m.revised, m.results, m.retries, m.saved, m.lost, m.position, m.trimmed,
		m.bytes, m.handed, m.repeated, m.refusedHandovers,
	} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) refused(c cause, n int) { m.reports.WithLabelValues(c.String()).Add(float64(n)) }

// released adds what became of a release.
func (m *metrics) released(refused cause, counted bool) {
	outcome := outcomeCounted
	switch {
	case counted && refused == causeDuplicate:
		outcome = outcomeDuplicate
	case !counted:
		outcome = refused.String()
	}
	m.releases.WithLabelValues(outcome).Inc()
}

// counted adds what became of a group.
func (m *metrics) counted(v *verdict) {
	if v.counted > 0 {
		m.heard.Add(float64(v.counted))
	}
	if v.duplicate > 0 {
		m.reports.WithLabelValues(outcomeDuplicate).Add(float64(v.duplicate))
	}
	for c, places := range v.refused {
		if len(places) > 0 {
			m.refused(cause(c), len(places))
		}
	}
}
