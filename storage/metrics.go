package storage

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the store holds and does. None holds a value of a row.
type metrics struct {
	segments, bytes, rows *prometheus.GaugeVec // by kind
	merged, written       *prometheus.CounterVec
	goneRows, goneBytes   *prometheus.CounterVec
	groupsRead, passed    *prometheus.CounterVec
	failures              prometheus.Counter

	sent, fetched, archiveFailures prometheus.Counter
	remote                         prometheus.Gauge

	leave func() // takes them back from where they are registered; idempotent
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	byKind := []string{"kind"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "quadrat_storage_" + name, Help: help}, byKind)
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "quadrat_storage_" + name, Help: help}, byKind)
	}
	m := &metrics{
		segments:   gauge("segments", "Parquet files that count."),
		bytes:      gauge("bytes", "Their length."),
		rows:       gauge("rows", "Their rows."),
		merged:     counter("segments_compacted_total", "Segments that became part of a larger one."),
		written:    counter("bytes_compacted_total", "Length of the segments that compaction wrote."),
		goneRows:   counter("rows_expired_total", "Rows that retention removed."),
		goneBytes:  counter("bytes_expired_total", "Length of the files that retention removed."),
		groupsRead: counter("row_groups_read_total", "Row groups that scans have read."),
		passed:     counter("row_groups_passed_total", "Row groups that scans have passed over in the files that they opened."),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "quadrat_storage_upkeep_failures_total", Help: "Rounds of upkeep that could not do all that was due.",
		}),
	}
	for field, about := range map[*prometheus.Counter][2]string{
		&m.sent:            {"archive_sent_bytes_total", "Bytes of segments that were copied to the archive, or of a share to the bucket."},
		&m.fetched:         {"archive_fetched_bytes_total", "Bytes of segments that were read from there."},
		&m.archiveFailures: {"archive_failures_total", "Segments that could not be copied to the archive for now."},
	} {
		*field = prometheus.NewCounter(prometheus.CounterOpts{Name: "quadrat_storage_" + about[0], Help: about[1]})
	}
	m.remote = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "quadrat_storage_archive_only_bytes", Help: "Length of the segments that the archive alone has.",
	})
	for _, k := range kinds() { // what never happened shows as 0
		for _, v := range []*prometheus.CounterVec{m.merged, m.written, m.goneRows, m.goneBytes, m.groupsRead, m.passed} {
			v.WithLabelValues(string(k))
		}
	}
	m.leave = func() {}
	if to == nil {
		return m, nil
	}
	all := []prometheus.Collector{
		m.segments, m.bytes, m.rows, m.merged, m.written, m.goneRows, m.goneBytes, m.groupsRead, m.passed, m.failures,
		m.sent, m.fetched, m.archiveFailures, m.remote,
	}
	var faults []error
	for _, c := range all {
		faults = append(faults, to.Register(c))
	}
	m.leave = sync.OnceFunc(func() {
		for _, c := range all {
			to.Unregister(c)
		}
	})
	return m, errors.Join(faults...)
}

// hold tells what the catalog names.
func (m *metrics) hold(segments []Segment) {
	var remote int64
	for i := range segments {
		if segments[i].Remote {
			remote += segments[i].Bytes
		}
	}
	m.remote.Set(float64(remote))
	for _, k := range kinds() {
		var n, bytes, rows int64
		for i := range segments {
			if s := &segments[i]; s.Kind == k {
				n, bytes, rows = n+1, bytes+s.Bytes, rows+s.Rows
			}
		}
		m.segments.WithLabelValues(string(k)).Set(float64(n))
		m.bytes.WithLabelValues(string(k)).Set(float64(bytes))
		m.rows.WithLabelValues(string(k)).Set(float64(rows))
	}
}

// compacted counts segments that became one.
func (m *metrics) compacted(segments int, into *Segment) {
	m.merged.WithLabelValues(string(into.Kind)).Add(float64(segments))
	m.written.WithLabelValues(string(into.Kind)).Add(float64(into.Bytes))
}

// expired counts a segment that retention removed.
func (m *metrics) expired(seg *Segment) {
	m.goneRows.WithLabelValues(string(seg.Kind)).Add(float64(seg.Rows))
	m.goneBytes.WithLabelValues(string(seg.Kind)).Add(float64(seg.Bytes))
}
