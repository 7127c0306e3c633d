package bench

import (
	"regexp"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestMessagesHoldEachDeviceOnce holds what the throughputs are fed with: one report of each device, in its partition, and
// the engine counts them all once.
func TestMessagesHoldEachDeviceOnce(t *testing.T) {
	const devices, perMessage = 3000, 16
	rows := newRows(devices)
	bodies, partitions, err := rows.messages(feedWindow, perMessage)
	if err != nil {
		t.Fatal(err)
	}
	heard := map[uint64]bool{}
	replay, err := engine.NewReplay(feedRecord(), rows)
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for i, body := range bodies {
		var batch quadratv1.StoredBatch
		if err := proto.Unmarshal(body, &batch); err != nil {
			t.Fatal(err)
		}
		for _, d := range batch.GetGroups()[0].GetDevice() {
			if heard[d] || fleet.Partition(fleet.Key(d)) != partitions[i] {
				t.Fatalf("device %x comes twice or in partition %d", d, partitions[i])
			}
			heard[d] = true
		}
		for range 2 { // the second time as duplicates
			n, err := replay.Take(body)
			if err != nil {
				t.Fatal(err)
			}
			counted += n
		}
	}
	if len(heard) != devices || counted != devices {
		t.Errorf("%d devices, %d counted, want %d", len(heard), counted, devices)
	}
}

// TestRunTellsRows makes one real measurement and looks at what is told of it.
func TestRunTellsRows(t *testing.T) {
	var got []Row
	config := Config{Dir: t.TempDir(), Only: regexp.MustCompile("^dispatch$")}
	if err := Run(t.Context(), config, func(r Row) error { got = append(got, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 {
		t.Fatalf("%d rows", len(got))
	}
	for _, r := range got {
		if r.Name == "" || r.Goal == "" || r.Unit != "ms" || r.Figure <= 0 || r.ReferenceFigure <= 0 {
			t.Errorf("row is not whole: %+v", r)
		}
		if ratio := r.Figure / r.ReferenceFigure; ratio != r.Ratio {
			t.Errorf("%s: ratio %v, want %v", r.Name, r.Ratio, ratio)
		}
	}
}

func TestConfigTellsAllFaults(t *testing.T) {
	err := Config{Devices: 5, Turn: -1}.Validate()
	if err == nil || err.Error() != "dir: a folder is needed\ndevices: 1000 or more are needed\nturn: may not be negative" {
		t.Error(err)
	}
}

func TestQuantile(t *testing.T) {
	x := []float64{4, 1, 3, 2}
	for p, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4} {
		if got := quantile(x, p); got != want {
			t.Errorf("quantile %v is %v, want %v", p, got, want)
		}
	}
}
