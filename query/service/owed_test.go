package service_test

import (
	"encoding/binary"
	"net/http"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

// TestNoVersionIsToldBeforeItsKappa: another process takes a version of the plan set and saves the kappa behind it, also after a third one has
// taken the next version. A device that asks in between is told neither version, so that it asks for the plan again; when who took it has died the
// version is told after a while.
func TestNoVersionIsToldBeforeItsKappa(t *testing.T) {
	b := openBroker(t, t.TempDir())
	s := stackOn(t, b, func(c *service.Config) { c.Shared = true })
	s.put(indoor)
	kv, err := b.JetStream().KeyValue(t.Context(), broker.BucketPlans)
	if err != nil {
		t.Fatal(err)
	}
	must := func(_ uint64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	take := func(version uint64) {
		t.Helper()
		must(kv.Put(t.Context(), "cluster.version", binary.BigEndian.AppendUint64(nil, version)))
	}
	save := func(ref string, version uint64) {
		t.Helper()
		raw, err := proto.Marshal(&quadratv1.KappaRecord{
			Version: 1, Kappa: &quadratv1.Kappa{Ref: ref, Name: ref},
			Revisions: []*quadratv1.PlanRevision{{
				Device: &quadratv1.DevicePlan{Ref: ref, Name: ref, Revision: 1, WindowMs: windowMs, PlanSetVersion: version}, Plan: &quadratv1.Plan{Revision: 1},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		must(kv.Put(t.Context(), "kappa."+ref, raw))
	}
	told := func(want uint64, plans int) {
		t.Helper()
		for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			got, current, _ := s.service.Since(1)
			if current == want && len(got) == plans && s.service.Version(1) == want {
				return
			}
			if current > want || time.Since(begun) > time.Minute {
				t.Fatalf("version %d and %d plans behind the first one are told, want %d and %d", current, len(got), want, plans)
			}
		}
	}
	known := func() { // to the service: who wants to delete reads the bucket first
		t.Helper()
		s.object(http.StatusNotFound, http.MethodDelete, "/kappa/nobody", "")
	}
	told(1, 0)
	take(2)
	known()
	told(1, 0)
	take(3)
	save("k3", 3)
	told(1, 1)
	save("k2", 2)
	told(3, 2)
	take(4)
	known()
	told(3, 2)
	s.clock.Advance(time.Minute)
	told(4, 2)
}
