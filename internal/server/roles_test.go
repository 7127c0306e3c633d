package server_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
	"github.com/quadrat-dev/quadrat/storage/bucket"
)

// site is a cluster: one broker, and processes of both roles over it.
type site struct {
	t      *testing.T
	clock  *clock.Manual
	nats   string
	bucket *bucket.Folder
}

func newSite(t *testing.T) *site {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	rows, err := bucket.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	return &site{t: t, clock: clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)), nats: b.URL(), bucket: rows}
}

// start starts a process of a role.
func (s *site) start(role server.Role) *world {
	s.t.Helper()
	const free = "127.0.0.1:0"
	p, err := server.Start(s.t.Context(), server.Config{
		Role: role, Data: s.t.TempDir(), HTTP: free, GRPC: free, NATS: s.nats, Clock: s.clock, Shares: 4, Bucket: s.bucket, Memory: memory.Least,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := p.Close(); err != nil {
			s.t.Error(err)
		}
	})
	api, err := client.New("http://"+p.Addresses().HTTP, client.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return &world{t: s.t, clock: s.clock, server: p, api: api}
}

// TestRoles: a fleet answers over processes that answer callers and processes that count. A kappa deployed at one process shows at the other and
// runs once; results are the same everywhere, also when one process of each role leaves and another comes.
func TestRoles(t *testing.T) {
	const devices, windows = 400, 6
	s := newSite(t)
	a, b := s.start(server.RoleAPI), s.start(server.RoleAPI)
	count := s.start(server.RoleEngine)
	s.start(server.RoleEngine)
	places, err := indoor.Places()
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := simulate.Join(t.Context(), simulate.Config{NATS: s.nats, Places: simulate.Choose(places, devices, 1, 1), Clock: s.clock, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	s.clock.Set(s.clock.Now().Add(2 * time.Second)) // rows are stored at the keeper's next look
	for _, each := range []*world{a, b} {
		until(t, "both know the fleet", func() bool {
			found, err := each.api.Devices(t.Context(), &quadratv1.ListDevicesRequest{Limit: 1})
			return err == nil && found.GetTotal() == devices
		})
	}
	put, err := b.api.Put(t.Context(), question, nil)
	if err != nil {
		t.Fatal(err)
	}
	if put.GetPlan().GetPopulation() != devices {
		t.Fatalf("plan %v", put.GetPlan())
	}
	until(t, "the other one lists the kappa", func() bool {
		list, err := a.api.List(t.Context())
		return err == nil && len(list) == 1 && list[0].GetRef() == put.GetRef()
	})
	again, err := a.api.Put(t.Context(), question, nil)
	if err != nil || again.GetRef() != put.GetRef() || again.GetCreated() {
		t.Errorf("the same script at another process: %v, %v", again, err)
	}
	if _, err := a.api.Put(t.Context(), strings.Replace(question, "mean(temperature)", "total(temperature)", 1), nil); err == nil {
		t.Error("another script of the same name was taken")
	}
	heard(t, fleet, put.GetRef())
	for window := range windows {
		end, ok := fleet.NextEnd()
		if !ok {
			t.Fatal("the fleet knows no kappa")
		}
		s.clock.Set(end)
		if _, err := fleet.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		switch window {
		case 1:
			until(t, "the engine tells of the rows of a share", func() bool {
				return strings.Contains(get(t, count, "/metrics"), `quadrat_storage_rows{kind="reports",share="0`)
			})
			until(t, "the engine tells what its windows take", func() bool {
				told := get(t, count, "/metrics")
				return strings.Contains(told, `quadrat_memory_used_bytes{part="states"} `) && !strings.Contains(told, `quadrat_memory_used_bytes{part="states"} 0`)
			})
			if strings.Contains(get(t, count, "/metrics"), `quadrat_memory_used_bytes{part="intake"}`) {
				t.Error("the engine tells of parts that it doesn't have")
			}
			for _, name := range []string{"quadrat_member_parts", "quadrat_member_takeovers_total"} {
				if !strings.Contains(get(t, count, "/metrics"), "\n"+name+" ") {
					t.Errorf("the engine does not tell %s", name)
				}
			}
		case 2: // its shares go to the other one
			if err := count.server.Close(); err != nil {
				t.Error(err)
			}
			s.start(server.RoleEngine)
		case 4: // it may be the keeper
			if err := a.server.Close(); err != nil {
				t.Error(err)
			}
			a = s.start(server.RoleAPI)
		}
		s.clock.Set(end.Add(5 * time.Second))
	}
	reports := int64(0)
	byWindow := map[int64]*quadratv1.Result{}
	for _, r := range b.results(windows) {
		byWindow[r.GetWindowStart().AsTime().UnixMilli()] = r
		reports += int64(r.GetReports())
		if r.GetReports() != r.GetPanel() || r.GetPanel() != devices/10 || r.GetPopulation() != devices || r.Value == nil || r.GetRevision() != 1 {
			t.Errorf("window %s: revision %d, %d reports of a panel of %d in a frame of %d", r.GetWindowStart().AsTime(), r.GetRevision(),
				r.GetReports(), r.GetPanel(), r.GetPopulation())
		}
	}
	for _, r := range a.results(windows) {
		if other := byWindow[r.GetWindowStart().AsTime().UnixMilli()]; !proto.Equal(r, other) {
			t.Errorf("two processes tell different results: %v, %v", r, other)
		}
	}
	for _, each := range []*world{a, b} {
		if rows := each.exported("reports"); rows != reports {
			t.Errorf("%d reports are exported, %d were counted", rows, reports)
		}
		if rows := each.exported("results"); rows != windows {
			t.Errorf("%d results are exported of %d", rows, windows)
		}
	}
	if len(byWindow) != windows {
		t.Errorf("%d windows have results: %v", len(byWindow), maps.Keys(byWindow))
	}
	until(t, "there is a keeper again, and a deletion goes through", func() bool { return a.api.Delete(t.Context(), "indoor") == nil })
	until(t, "the other one has dropped the kappa", func() bool {
		list, err := b.api.List(t.Context())
		return err == nil && len(list) == 0
	})
}

// get is what a process answers to a GET.
func get(t *testing.T, w *world, path string) string {
	t.Helper()
	reply, err := http.Get("http://" + w.server.Addresses().HTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestRolesNeedACluster: what can't work is refused with what to do.
func TestRolesNeedACluster(t *testing.T) {
	for want, config := range map[string]server.Config{
		"--nats":     {Role: server.RoleAPI},
		"--bucket":   {Role: server.RoleEngine, NATS: "nats://127.0.0.1:1"},
		"--role x":   {Role: "x"},
		"--shares":   {Role: server.RoleAPI, NATS: "nats://127.0.0.1:1", Shares: 5},
		"--replicas": {Replicas: 3},
	} {
		config.Data = t.TempDir()
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	s := newSite(t)
	s.start(server.RoleAPI)
	const free = "127.0.0.1:0"
	_, err := server.Start(t.Context(), server.Config{Data: t.TempDir(), HTTP: free, GRPC: free, NATS: s.nats})
	if err == nil || !strings.Contains(err.Error(), "belongs to a cluster") {
		t.Errorf("a process alone on a cluster's broker: %v", err)
	}
	_, err = server.Start(t.Context(), server.Config{Role: server.RoleAPI, Data: t.TempDir(), HTTP: free, GRPC: free, NATS: s.nats, Shares: 8})
	if err == nil || !strings.Contains(err.Error(), "--shares 8") {
		t.Errorf("another number of shares: %v", err)
	}
}
