package service

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics counts what the service does. No label holds anything that a caller or a device wrote.
type metrics struct {
	stalled    prometheus.Counter
	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	results    prometheus.Counter
	unreadable prometheus.Counter
	redraws    prometheus.Counter
}

func newMetrics(s *Service) *metrics {
	f := promauto.With(s.cfg.Registry)
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "quadrat_kappas", Help: "Live kappas."}, func() float64 {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return float64(len(s.live))
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "quadrat_results_held", Help: "Results in memory."}, func() float64 {
		results, _ := s.results.size()
		return float64(results)
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "quadrat_followers", Help: "Readers that follow a kappa."}, func() float64 {
		_, watchers := s.results.size()
		return float64(watchers)
	})
	f.NewCounterFunc(prometheus.CounterOpts{Name: "quadrat_followers_dropped_total", Help: "Readers dropped because they fell behind."}, func() float64 {
		return float64(s.results.drops.Load())
	})
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "quadrat_http_requests_total", Help: "HTTP requests by method and status.",
		}, []string{"method", "status"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "quadrat_http_seconds", Help: "Duration of HTTP requests; streams are not counted.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"method"}),
		results: f.NewCounter(prometheus.CounterOpts{Name: "quadrat_results_total", Help: "Results taken in."}),
		unreadable: f.NewCounter(prometheus.CounterOpts{
			Name: "quadrat_results_unreadable_total", Help: "Messages of the stream of results that could not be read.",
		}),
		stalled: f.NewCounter(prometheus.CounterOpts{
			Name: "quadrat_callers_stalled_total", Help: "Calls that ended since their caller took nothing for too long.",
		}),
		redraws: f.NewCounter(prometheus.CounterOpts{Name: "quadrat_plans_redrawn_total", Help: "Plans redrawn for a changed frame."}),
	}
}
