package engine

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestDecodeBatchAgreesWithGeneratedCode decodes random batches both ways.
func TestDecodeBatchAgreesWithGeneratedCode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var columns reports
	var one release
	for range 200 {
		want := &quadratv1.StoredBatch{Version: 1}
		for range r.IntN(4) {
			g := &quadratv1.StoredGroup{Kappa: "k1", Revision: r.Uint32(), Window: r.Int64()}
			for range r.IntN(20) {
				g.Device = append(g.Device, r.Uint64())
				g.Statistic = append(g.Statistic, r.Uint32()>>r.IntN(32))
				g.Value = append(g.Value, (r.Int64()-r.Int64())>>r.IntN(64))
			}
			want.Groups = append(want.Groups, g)
		}
		for range r.IntN(3) {
			want.Releases = append(want.Releases, randomRelease(r))
		}
		body, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := &quadratv1.StoredBatch{Version: 1}
		all := func(c *reports) []uint32 {
			places := make([]uint32, len(c.device))
			for i := range places {
				places[i] = uint32(i)
			}
			return places
		}
		err = decodeBatch(body, &columns, func(c *reports) {
			part := &quadratv1.StoredBatch{}
			if err := proto.Unmarshal(c.appendGroup(nil, all(c)), part); err != nil {
				t.Fatal(err)
			}
			got.Groups = append(got.Groups, part.GetGroups()...)
		}, &one, func(one *release) {
			part := &quadratv1.StoredBatch{}
			if err := proto.Unmarshal(one.appendTo(nil), part); err != nil {
				t.Fatal(err)
			}
			had := part.GetReleases()[0]
			if string(one.kappa) != had.GetKappa() || one.revision != uint64(had.GetRevision()) || one.window != had.GetWindow() ||
				one.statistic != uint64(had.GetStatistic()) || one.gateway != had.GetGateway() || !slices.Equal(one.device, had.GetDevice()) ||
				!slices.Equal(one.values, had.GetValues()) || len(one.units) != len(had.GetUnits()) {
				t.Fatalf("read %+v, want %v", one, had)
			}
			for i, n := range had.GetUnits() {
				if one.units[i] != uint64(n) {
					t.Fatalf("read %+v, want %v", one, had)
				}
			}
			got.Releases = append(got.Releases, had)
		})
		if err != nil || !proto.Equal(got, want) {
			t.Fatalf("got %v, want %v: %v", got, want, err)
		}
	}
}

func randomRelease(r *rand.Rand) *quadratv1.StoredRelease {
	out := &quadratv1.StoredRelease{Kappa: "k2", Revision: r.Uint32(), Window: r.Int64(), Statistic: r.Uint32() >> r.IntN(32), Gateway: r.Uint64()}
	parts, width := 1+r.IntN(5), 1+r.IntN(4)
	for range parts {
		out.Device, out.Units = append(out.Device, r.Uint64()), append(out.Units, r.Uint32()>>r.IntN(32))
		for range width {
			out.Values = append(out.Values, (r.Int64()-r.Int64())>>r.IntN(64))
		}
	}
	return out
}

func FuzzDecodeBatch(f *testing.F) {
	body, err := proto.Marshal(&quadratv1.StoredBatch{Version: 1, Groups: []*quadratv1.StoredGroup{
		{Kappa: "k", Revision: 1, Window: 5, Device: []uint64{7}, Statistic: []uint32{300}, Value: []int64{-70000}},
	}, Releases: []*quadratv1.StoredRelease{
		{Kappa: "k", Revision: 1, Window: 5, Gateway: 9, Device: []uint64{7, 8}, Units: []uint32{3, 1}, Values: []int64{-1, 1 << 40}},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		var columns reports
		_ = decodeBatch(body, &columns, func(c *reports) {
			if len(c.device) != len(c.statistic) || len(c.device) != len(c.value) || c.window < 0 {
				t.Error("columns of different lengths, or a negative window")
			}
		}, &release{}, func(one *release) {
			parts := len(one.device)
			if parts == 0 || parts != len(one.units) || len(one.part(parts-1)) == 0 || len(one.part(0))*parts != len(one.values) || one.window < 0 {
				t.Error("parts of different lengths, or a negative window")
			}
		})
	})
}

// goldenState is an engine whose checkpoint has every part.
func goldenState(t testing.TB) *Engine {
	t.Helper()
	e := &Engine{config: Config{}.withDefaults(), kappas: map[string]*kappa{}, sequence: 4711, markMs: 1_800_000_001_200, levelMs: 1_800_000_001_200}
	e.newest[5] = 1_800_000_001_000
	record := &quadratv1.KappaRecord{Version: 1, Kappa: &quadratv1.Kappa{Ref: "k1", Name: "one"}}
	record.Revisions = []*quadratv1.PlanRevision{{Device: &quadratv1.DevicePlan{
		Ref: "k1", Name: "one", Revision: 2, FromWindow: firstWindow, WindowMs: windowMs, GraceMs: graceMs, Salt: make([]byte, 16),
		LapWindows: 1, Statistics: []*quadratv1.StatisticPlan{meanPlan("none")}, Model: "none", Capability: "sense.temperature", Confidence: 0.95,
		GroupBy: []string{"cooling"}, Strata: []*quadratv1.StratumPlan{{Name: "(all)", Last: []uint64{1<<64 - 1}}},
	}}}
	k, err := newKappa(record)
	if err != nil {
		t.Fatal(err)
	}
	l := &layout{
		fingerprint: "0123456789abcdef", strata: []string{"(all)"}, stratumSize: []int64{7}, cellSize: []int64{3, 4}, size: 7,
		cells: []cell{
			{values: map[string]string{"cooling": "(missing)"}, text: `{"cooling":"(missing)"}`},
			{values: map[string]string{"cooling": "air"}, text: `{"cooling":"air"}`},
		},
		groups: []group{{stratum: 0, cell: 1, size: 4}, {stratum: 0, cell: 0, size: 3}},
	}
	f := &frame{layout: l, lapFrom: []uint32{0, 7}, byTurn: []uint32{0, 0, 0, 0, 1, 1, 1}}
	w := newWindow(firstWindow, k.plans[0], f)
	w.moments[0].Add(20.5, 0.25)
	w.moments[0].Add(22, 0.25)
	w.heard[0] = 0b1010
	w.revision = 1
	k.estimate(w, 0.5)
	w.dirty = true
	k.windows[firstWindow] = w
	open := newWindow(firstWindow+1, k.plans[0], f)
	k.windows[firstWindow+1], k.next = open, firstWindow+1
	e.kappas["k1"], e.order = k, []string{"k1"}
	return e
}

// frozen compares the checkpoint of a state with the golden bytes of its version, and gives these, what they say, and the state that it is again.
func frozen(t *testing.T, version int, state func(testing.TB) *Engine) (golden []byte, s *snapshot, again *Engine) {
	t.Helper()
	golden = goldenBytes(t, fmt.Sprintf("testdata/checkpoint-v%d.hex", version), state(t).encode())
	s, err := decodeCheckpoint(golden)
	if err != nil {
		t.Fatal(err)
	}
	again = state(t)
	again.kappas["k1"].windows = map[int64]*window{}
	again.adopt(&s.kappas[0])
	if !bytes.Equal(again.encode(), golden) {
		t.Error("read and written again it differs")
	}
	return golden, s, again
}

// goldenBytes reads the bytes that a file holds in hexadecimal, and compares what is written now with them.
func goldenBytes(t *testing.T, path string, got []byte) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err, hex.EncodeToString(got))
	}
	golden, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, golden) {
		t.Errorf("the format has changed without a new version:\n%s", hex.EncodeToString(got))
	}
	return golden
}

// TestGoldenCheckpoint freezes version 1 of the format, in both directions.
func TestGoldenCheckpoint(t *testing.T) {
	golden := goldenBytes(t, "testdata/checkpoint-v1.hex", goldenState(t).encode())
	again := readBack(t, golden)
	if !bytes.Equal(again.encode(), golden) {
		t.Error("read and written again it differs")
	}
}

// readBack makes an engine of a checkpoint of the golden state.
func readBack(t testing.TB, content []byte) *Engine {
	t.Helper()
	s, err := decodeCheckpoint(content)
	if err != nil {
		t.Fatal(err)
	}
	e := goldenState(t)
	e.config = Config{}.withDefaults()
	e.sequence, e.markMs, e.levelMs = s.sequence, s.markMs, s.levelMs
	copy(e.newest[:], s.newest)
	e.kappas["k1"].windows = map[int64]*window{}
	e.adopt(&s.kappas[0])
	if len(e.late) != 1 {
		t.Errorf("%d late windows, want 1", len(e.late))
	}
	return e
}

func TestCheckpointRefusesDamage(t *testing.T) {
	content := goldenState(t).encode()
	for i := range content {
		bad := slices.Clone(content)
		bad[i] ^= 0x10
		if _, err := decodeCheckpoint(bad); err == nil {
			t.Fatalf("byte %d changed, and the checkpoint was read", i)
		}
		if _, err := decodeCheckpoint(content[:i]); err == nil {
			t.Fatalf("cut at %d, and the checkpoint was read", i)
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	content := goldenState(f).encode()
	f.Add(content[:len(content)-4])
	content = goldenPanel(f).encode()
	f.Add(content[:len(content)-4])
	content = goldenCategories(f).encode()
	f.Add(content[:len(content)-4])
	content = goldenReleased(f).encode()
	f.Add(content[:len(content)-4])
	content = goldenVariance(f).encode()
	f.Add(content[:len(content)-4])
	f.Fuzz(func(_ *testing.T, body []byte) {
		// With a checksum that fits, so that the fuzzer reaches what is behind it.
		_, _ = decodeCheckpoint(binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.Checksum(body, castagnoli)))
	})
}
