package agent_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// A device takes plans that come in pieces, asks for the next one, and finds each of many kappas, also after some have gone.
func TestManyPlansInPieces(t *testing.T) {
	const kappas, piece = 200, 50
	a, err := agent.New(config(t, "many"))
	if err != nil {
		t.Fatal(err)
	}
	var live []string
	for from := 0; from < kappas; from += piece {
		reply := &wire.HelloReply{PlanSetVersion: uint64(from + piece), More: from+piece < kappas}
		for i := from; i < from+piece; i++ {
			p := everyone()
			p.Ref, p.PlanSetVersion = fmt.Sprintf("k%03d", i), uint64(i+1)
			reply.Plans = append(reply.Plans, p)
			live = append(live, p.Ref)
		}
		reply.Live = live
		if again, err := a.ApplyReply(reply); err != nil || again != reply.More || a.Version() != reply.PlanSetVersion {
			t.Fatalf("after %d plans: again %v, version %d, %v", from+piece, again, a.Version(), err)
		}
	}
	finds := func(i int) bool {
		_, ok := a.NextDue(fmt.Sprintf("k%03d", i), 0)
		return ok
	}
	for _, gone := range []bool{false, true} {
		if gone {
			a.ApplyBroadcast(&wire.PlanBroadcast{PlanSetVersion: kappas + 1, PreviousVersion: kappas, Deleted: "k007"})
		}
		for i := range kappas {
			if finds(i) == (gone && i == 7) {
				t.Errorf("kappa %d: found %v", i, finds(i))
			}
		}
	}
}
