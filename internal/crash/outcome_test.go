package crash_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/storage"
)

// outcome is what must not depend on who was killed.
type outcome struct {
	published []string       // the different messages of RESULTS: every revision of every result, byte for byte
	results   []string       // the rows of results in the store
	strata    []string       // the rows of strata in the store
	reports   []string       // the rows of reports in the store, but for their positions in the stream
	ids       map[string]int // how often each report stands in the store
}

// outcome reads what a rig has left behind.
func (w *rig) outcome(c *course) *outcome {
	w.t.Helper()
	store, err := storage.Open(w.dir+"/store", storage.Config{})
	must(w.t, err)
	return w.outcomeOf(c, &store.Rows, time.Time{})
}

// outcomeOf is outcome of some rows, of the windows that begin before a moment; the zero time for all.
func (w *rig) outcomeOf(c *course, rows *storage.Rows, until time.Time) *outcome {
	w.t.Helper()
	out := &outcome{ids: map[string]int{}, published: w.published(until)}
	for _, r := range c.records {
		ref, none := r.GetKappa().GetRef(), time.Time{}
		out.results = append(out.results, rowsOf(w.t, ref, rows.ScanResults(w.t.Context(), ref, none, until, false), nil)...)
		out.strata = append(out.strata, rowsOf(w.t, ref, rows.ScanStrata(w.t.Context(), ref, none, until), nil)...)
		out.reports = append(out.reports, rowsOf(w.t, ref, rows.ScanReports(w.t.Context(), ref, none, until), out.ids)...)
	}
	slices.Sort(out.results)
	slices.Sort(out.strata)
	slices.Sort(out.reports)
	return out
}

// rowsOf gives rows as text without their positions, and counts them by what reports are known by.
func rowsOf(t *testing.T, ref string, records storage.Records, ids map[string]int) []string {
	t.Helper()
	var out []string
	for record, err := range records {
		must(t, err)
		text, err := record.MarshalJSON()
		must(t, err)
		var rows []map[string]any
		must(t, json.Unmarshal(text, &rows))
		for _, row := range rows {
			delete(row, "sequence")
			if ids != nil {
				start, err := time.Parse("2006-01-02 15:04:05.999999999Z", row["window_start"].(string))
				must(t, err)
				ids[fmt.Sprintf("%s/%d/%s", ref, start.UnixMilli(), row["device"])]++
			}
			line, err := json.Marshal(row)
			must(t, err)
			out = append(out, ref+" "+string(line))
		}
	}
	return out
}

// published is the different messages of RESULTS, of the windows that begin before a moment.
func (w *rig) published(until time.Time) []string {
	w.t.Helper()
	stream, err := w.broker.JetStream().Stream(w.t.Context(), broker.StreamResults)
	must(w.t, err)
	state := stream.CachedInfo().State
	byID := map[string]string{}
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := stream.GetMsg(w.t.Context(), seq)
		must(w.t, err)
		result := &quadratv1.Result{}
		must(w.t, proto.Unmarshal(m.Data, result))
		if !until.IsZero() && !result.GetWindowStart().AsTime().Before(until) {
			continue
		}
		id := m.Header.Get(jetstream.MsgIDHeader)
		if old, known := byID[id]; known && old != string(m.Data) {
			w.t.Errorf("result %s was told in two ways", id)
		}
		byID[id] = string(m.Data)
	}
	out := make([]string, 0, len(byID))
	for id, body := range byID {
		out = append(out, id+" "+body)
	}
	slices.Sort(out)
	return out
}

// check holds an outcome against the course and against that of an undisturbed run.
func (o *outcome) check(t *testing.T, c *course, calm *outcome) {
	t.Helper()
	once := map[string]bool{}
	for i := range c.steps {
		if id := c.steps[i].report; id != "" && !once[id] {
			once[id] = true
			if o.ids[id] != 1 {
				t.Errorf("report %s was answered and stands in the store %d times", id, o.ids[id])
			}
		}
	}
	if len(o.ids) != len(once) || len(once) != c.reports {
		t.Errorf("%d reports in the store, %d were answered", len(o.ids), c.reports)
	}
	if calm != nil {
		o.equals(t, calm)
	}
}

// equals holds an outcome against that of an undisturbed run.
func (o *outcome) equals(t *testing.T, calm *outcome) {
	t.Helper()
	for _, part := range []struct {
		name      string
		got, want []string
	}{
		{"published results", o.published, calm.published},
		{"stored results", o.results, calm.results},
		{"strata", o.strata, calm.strata},
		{"reports", o.reports, calm.reports},
	} {
		if len(part.want) == 0 || !slices.Equal(part.got, part.want) {
			t.Errorf("%s differ from those of an undisturbed run: %d, %d\n%s", part.name, len(part.got), len(part.want),
				firstDifference(part.got, part.want))
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			same := 0
			for same < min(len(got[i]), len(want[i])) && got[i][same] == want[i][same] {
				same++
			}
			from := max(0, same-80)
			return fmt.Sprintf("got  …%.200q\nwant …%.200q", got[i][from:], want[i][from:])
		}
	}
	return "one is the beginning of the other"
}
