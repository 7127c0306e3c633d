package external_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// A device that is asked for more than its owner allows is silent, and says so: in its log, in its presence record, and
// to its owner. The results show that one in three didn't answer.
func TestStrictCollectorIsSilentAndSaysSo(t *testing.T) {
	t.Parallel()
	server := serve(t)
	const sensor = "source: csv, file: room.csv, column: c, at_end: wrap"
	collect(t, server, board{"kitchen", "sense.room", sensor, "epsilon: 1000, per: 1h, lifetime: none"})
	collect(t, server, board{"cellar", "sense.room", sensor, "epsilon: 1000, per: 1h, lifetime: none"})
	strict := collect(t, server, board{"strict", "sense.room", sensor, "epsilon: 3.9, per: 1h, lifetime: none"})
	ref := server.put(t, rooms, 3)
	until(t, "three windows without the strict one", func() bool {
		found := server.results(t, ref)
		found = slices.DeleteFunc(found, func(r result) bool { return !r.Final || r.Panel != 3 || r.Reports != 2 })
		return len(found) >= 3
	})
	for _, r := range server.results(t, ref) {
		if r.Reports > 2 {
			t.Errorf("%d reports in %s", r.Reports, r.WindowStart)
		}
	}
	until(t, "the presence record", func() bool {
		var got struct{ Counters map[string]int }
		server.call(t, "GET", "/devices/strict", "", &got)
		if got.Counters["reported"] > 0 {
			t.Fatalf("it has spoken: %v", got.Counters)
		}
		return got.Counters["refused_epsilon"] >= 3
	})
	log, err := os.ReadFile(strict.log.Name())
	if err != nil || !strings.Contains(string(log), "why=refused_epsilon report_costs=4 policy_allows=3.9") {
		t.Errorf("its log says\n%s%v", log, err)
	}
	if a, err := strict.account(); err != nil || a.Reports != 0 || a.SpentInLifetime != "0" {
		t.Errorf("%+v, %v", a, err)
	}
	words, err := strict.ledger("table")
	if err != nil || !strings.Contains(string(words), "the policy forbids the price") {
		t.Errorf("its owner reads\n%s%v", words, err)
	}
}
