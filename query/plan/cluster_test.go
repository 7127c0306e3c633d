package plan_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// streets is a frame of two regions; streets have 1 to 4 devices, and every tenth device names none.
func streets(n int) []plan.Member {
	var out []plan.Member
	for i := range n {
		attributes := map[string]string{"region": "north"}
		if i%3 == 0 {
			attributes["region"] = "south"
		}
		if i%10 > 0 {
			attributes["street"] = fmt.Sprintf("street-%d", (i*i/7+i)%(n/3))
		}
		out = append(out, plan.Member{ID: fmt.Sprintf("device-%04d", i), Attributes: attributes})
	}
	return out
}

// visits counts, for each cluster of a stratum, in which windows of a lap and for which statistic each of its devices is due.
func visits(t *testing.T, d *quadratv1.DevicePlan, frame []plan.Member) (clusters map[string]map[string]int, counts map[[3]int64]int) {
	t.Helper()
	clusters, counts = map[string]map[string]int{}, map[[3]int64]int{}
	for h, s := range d.GetStrata() {
		rotation := plan.Rotation(d, s)
		for _, m := range frame {
			in := len(d.GetStratifiedBy()) == 0
			for _, v := range s.GetMembers() {
				in = in || v.GetValues()[0] == m.Attributes["region"]
			}
			if !in {
				continue
			}
			street := m.Attributes["street"]
			name := s.GetName() + "|" + street
			if street == "" {
				name += m.ID
			}
			first := clusters[name] == nil
			if first {
				clusters[name] = map[string]int{}
			}
			number := panel.NumberOfCluster(panel.Salt(d.GetSalt()), s.GetName(), street, m.ID)
			for w := range int64(d.GetLapWindows()) {
				if statistic, ok := rotation.Due(number, w); ok {
					clusters[name][fmt.Sprint(w, statistic)]++
					if first {
						counts[[3]int64{w, int64(h), int64(statistic)}]++
					}
				}
			}
		}
	}
	return clusters, counts
}

// Every cluster has one place of the lap, all its devices share it, and each arc holds the clusters that the plan promises.
func TestClustersTakeTurnsAsAWhole(t *testing.T) {
	frame := streets(900)
	for _, each := range []struct {
		sample, privacy string
		panel           int // clusters a window; 0 when all take turns
	}{
		{"ALL STRATIFIED BY region CLUSTERED BY street", "LOCAL EPSILON 4 PER 10m BETWEEN 0 AND 6", 0},
		{"ALL CLUSTERED BY street", "LOCAL EPSILON 4 PER 10m BETWEEN 0 AND 6", 0},
		{"ALL STRATIFIED BY region CLUSTERED BY street 24 CLUSTERS", "LOCAL EPSILON 4 PER 10m BETWEEN 0 AND 6", 24},
		{"ALL STRATIFIED BY region CLUSTERED BY street 40 CLUSTERS", "NONE BETWEEN 0 AND 6", 40},
		{"10 PERCENT CLUSTERED BY street", "NONE BETWEEN 0 AND 6", -1},
		{"60 DEVICES CLUSTERED BY street ROTATING", "NONE BETWEEN 0 AND 6", -1},
		{"ALL CLUSTERED BY street 30 CLUSTERS FIXED", "NONE BETWEEN 0 AND 6", 30},
	} {
		s := prepared(t, "SELECT mean(x), proportion(x > 3) FROM a.q SAMPLE "+each.sample+" WINDOW 1m PRIVACY "+each.privacy, nil)
		rev, err := plan.Build(s, frame, plan.Options{Ref: "k", Revision: 1, Salt: [16]byte{3}})
		if err != nil {
			t.Fatal(each.sample, err)
		}
		d := rev.GetDevice()
		if d.GetClusteredBy() != "street" {
			t.Fatalf("clustered by %q", d.GetClusteredBy())
		}
		clusters, counts := visits(t, d, frame)
		asWhole(t, each.sample, clusters, each.panel == 0)
		perWindow := map[int64]int{}
		for at, n := range counts {
			perWindow[at[0]] += n
			if n < 2 {
				t.Errorf("%s: %d clusters in window, stratum, statistic %v", each.sample, n, at)
			}
		}
		for w, n := range perWindow {
			if each.panel > 0 && n != each.panel {
				t.Errorf("%s: %d clusters in window %d, want %d", each.sample, n, w, each.panel)
			}
			if want := 60.0; strings.HasPrefix(each.sample, "60") && math.Abs(float64(n)*900/float64(len(clusters))-want) > 2 {
				t.Errorf("%s: %d of %d clusters", each.sample, n, len(clusters))
			}
		}
		if !strings.Contains(strings.Join(rev.GetPlan().GetWarnings(), "\n"), "intra-cluster correlation of 0.5") {
			t.Errorf("%s: warnings %q", each.sample, rev.GetPlan().GetWarnings())
		}
		if m := rev.GetPlan().GetStatistics()[0].GetMargin(); !(m > 0) {
			t.Errorf("%s: margin %v", each.sample, m)
		}
	}
}

func asWhole(t *testing.T, sample string, clusters map[string]map[string]int, all bool) {
	t.Helper()
	for name, places := range clusters {
		if len(places) > 1 || all && len(places) != 1 {
			t.Errorf("%s: the cluster %s has %d places in a lap", sample, name, len(places))
		}
	}
}

// Devices that are alike within clusters make intervals longer, by Kish's factor when all clusters have one size.
func TestClusterMarginIsKishs(t *testing.T) {
	var frame []plan.Member
	for i := range 4000 {
		frame = append(frame, plan.Member{ID: fmt.Sprint("d", i), Attributes: map[string]string{"house": fmt.Sprint(i / 5)}})
	}
	margin := func(sample string) float64 {
		s := prepared(t, "SELECT mean(x) FROM a.q SAMPLE "+sample+" WINDOW 1m PRIVACY NONE BETWEEN 0 AND 6", nil)
		rev, err := plan.Build(s, frame, plan.Options{Ref: "k", Revision: 1})
		if err != nil {
			t.Fatal(err)
		}
		return rev.GetPlan().GetStatistics()[0].GetMargin()
	}
	got := margin("ALL CLUSTERED BY house 400 CLUSTERS") / margin("2000 DEVICES")
	if want := math.Sqrt(1 + 4*0.5); math.Abs(got/want-1) > 0.004 { // t of 399 degrees for that of 1999
		t.Errorf("the margin grows by %v, want %v", got, want)
	}
}

func TestTooFewClusters(t *testing.T) {
	frame := streets(60)
	for text, want := range map[string]string{
		"SELECT mean(x) FROM a.q SAMPLE ALL CLUSTERED BY region WINDOW 1m PRIVACY LOCAL EPSILON 1 PER 1h BETWEEN 0 AND 6":              "2 clusters of region",
		"SELECT mean(x), total(x) FROM a.q SAMPLE ALL CLUSTERED BY street 3 CLUSTERS WINDOW 1m PRIVACY NONE BETWEEN 0 AND 6":           "a panel of 3 clusters",
		"SELECT mean(x) FROM a.q SAMPLE ALL CLUSTERED BY street 20 CLUSTERS WINDOW 1m PRIVACY LOCAL EPSILON 1 PER 10m BETWEEN 0 AND 6": "can't be had",
	} {
		_, err := plan.Build(prepared(t, text, nil), frame, plan.Options{Ref: "k", Revision: 1})
		if _, infeasible := errors.AsType[*plan.Infeasible](err); !infeasible || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A region whose clusters are too few is one stratum with another, by name.
func TestClusterStrataCollapse(t *testing.T) {
	frame := streets(600)
	for i := range 50 {
		frame = append(frame, plan.Member{ID: fmt.Sprint("isle", i), Attributes: map[string]string{"region": "isle", "street": "quay"}})
	}
	s := prepared(t, "SELECT mean(x) FROM a.q SAMPLE ALL STRATIFIED BY region CLUSTERED BY street WINDOW 1m "+
		"PRIVACY LOCAL EPSILON 4 PER 5m BETWEEN 0 AND 6", nil)
	rev, err := plan.Build(s, frame, plan.Options{Ref: "k", Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, s := range rev.GetDevice().GetStrata() {
		names = append(names, s.GetName())
	}
	if len(names) != 2 || !strings.Contains(strings.Join(names, " "), "isle+") {
		t.Errorf("strata %q", names)
	}
}
