package intake

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Of a flood of requests each one is answered: stored, and then it is in REPORTS once, or told to come again. What waits never
// takes more than its account holds, and when all is answered nothing waits.
func TestFloodIsAnsweredWithinMemory(t *testing.T) {
	const devices, limit = 500, 600 * requestBytes * 8 / 3 // room for all of them, of whom half may wait
	account := memory.NewAccount(limit)
	b := setUp(t, behind{}, func(c *Config) { c.Memory, c.BatchReports = account, 16 })
	inbox := b.conn.NewInbox()
	answers := make(chan *nats.Msg, 2*devices)
	if _, err := b.conn.ChanSubscribe(inbox+".*", answers); err != nil {
		t.Fatal(err)
	}
	ask := func(i int) {
		device := fmt.Sprintf("d%d", i)
		body := single(t, &quadratv1.Report{Device: device, Kappa: "k1", Revision: 1, Window: 7, Value: int64(i)})
		if err := b.conn.PublishRequest(broker.PrefixIn+device, fmt.Sprintf("%s.%d", inbox, i), body); err != nil {
			t.Fatal(err)
		}
	}
	for i := range devices {
		ask(i)
	}
	again, most := 0, int64(0)
	for stored := 0; stored < devices; {
		m := <-answers
		most = max(most, account.Used())
		reply, err := wire.DecodeIntakeReply(m.Data)
		switch {
		case err != nil || reply.Status == wire.Rejected:
			t.Fatalf("answer %+v, %v", reply, err)
		case reply.Status == wire.Stored:
			stored++
		default:
			again++
			var i int
			if _, err := fmt.Sscanf(m.Subject, inbox+".%d", &i); err != nil {
				t.Fatal(err)
			}
			ask(i)
		}
	}
	if again == 0 || b.counted(t, "quadrat_intake_requests_crowded_total", "") != float64(again) {
		t.Errorf("%d were told to come again, %v are counted", again, b.counted(t, "quadrat_intake_requests_crowded_total", ""))
	}
	if most > limit || account.Used() != 0 {
		t.Errorf("%d bytes waited, at most %d; %d are left", most, limit, account.Used())
	}
	if err := b.intake.Close(); err != nil {
		t.Fatal(err)
	}
	found := b.found(t)
	if len(found) != devices {
		t.Errorf("%d reports are stored, %d were answered", len(found), devices)
	}
	for report, n := range found {
		if n != 1 {
			t.Errorf("%s is stored %d times", report, n)
		}
	}
}

// A letter for which there is no room is dropped and counted; it must not hold memory that reports need.
func TestDeadLettersStayWithinMemory(t *testing.T) {
	account := memory.NewAccount(requestBytes + 200)
	b := setUp(t, behind{}, func(c *Config) { c.Memory = account })
	if reply := b.ask(t, "d1", make([]byte, 190)); reply.GetStatus() != quadratv1.IntakeReply_STATUS_REJECTED {
		t.Errorf("answered %v", reply)
	}
	if dropped := b.counted(t, "quadrat_intake_dead_letters_dropped_total", ""); dropped != 1 {
		t.Errorf("%v letters are counted as dropped", dropped)
	}
	if reply := b.ask(t, "d1", single(t, &quadratv1.Report{Device: "d1", Kappa: "k1", Revision: 1, Window: 7})); reply.GetStatus() != quadratv1.IntakeReply_STATUS_STORED {
		t.Errorf("answered %v", reply)
	}
	if account.Used() != 0 {
		t.Errorf("%d bytes are left", account.Used())
	}
}
