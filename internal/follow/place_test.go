package follow

import "testing"

// TestPlaceOf reads both forms that NATS gives the subject of an acknowledgement, and refuses what is none.
func TestPlaceOf(t *testing.T) {
	want := place{position: 22, delivered: 3, pending: 5}
	for _, reply := range []string{
		"$JS.ACK.REPORTS.c.1.22.3.1789.5",
		"$JS.ACK.hub.hash.REPORTS.c.1.22.3.1789.5",
		"$JS.ACK.hub.hash.REPORTS.c.1.22.3.1789.5.token",
	} {
		if got, ok := placeOf(reply); !ok || got != want {
			t.Errorf("%s: %+v, %v", reply, got, ok)
		}
	}
	for _, reply := range []string{
		"", ".", "_INBOX.a.b", "$JS.ACK.REPORTS.c.1.22.3.1789", "$JS.ACK.REPORTS.c.1.22.3", "$JS.ACK.REPORTS.c.1.x.3.1789.5", "$JS.ACK.REPORTS.c.1.22.-3.1789.5",
		"$JS.ACK.REPORTS.c.1.0.3.1789.5", "$JS.ACK.REPORTS.c.1.22.0.1789.5", "$JS.ACK.REPORTS.c.1..3.1789.5", "$JS.ACK.REPORTS.c.1.99999999999999999999.3.1789.5",
		"$JS.ACK.hub.hash.REPORTS.c.1.22.3.1789",
	} {
		if got, ok := placeOf(reply); ok {
			t.Errorf("%s: %+v", reply, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { placeOf("$JS.ACK.REPORTS.c.1.22.3.1789.5") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
