package storage

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// plainOrder is the order of reports in a file: rows sorted by comparing their keys.
func plainOrder(rows []column.Report) []column.Report {
	random := func(r *column.Report) float64 { return column.ShuffleOf(testRef, r.WindowStartMs).Of(r.Device) }
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(x, y column.Report) int {
		return cmp.Or(cmp.Compare(x.WindowStartMs, y.WindowStartMs), cmp.Compare(random(&x), random(&y)), cmp.Compare(x.Device, y.Device))
	})
	return out
}

// mixedReports is reports of every sort, some of which share their random number or come from one device.
func mixedReports(rng *rand.Rand, n int) []column.Report {
	rows := makeReports(rng, 1, n)
	for i := range rows {
		r := &rows[i]
		switch i % 5 {
		case 0:
			r.Categories, r.Size, r.Include, r.Answer = 7, 2, 0.75, rng.Uint64N(128)
		case 1:
			r.Categories, r.Coded, r.Code, r.Size, r.Include, r.Other, r.Seeds, r.Root = 900, true, rng.Uint64(), 3, 0.75, 0.25, 257, 3
		case 2:
			r.ClusterPopulation, r.StratumClusters, r.Units = 5, 6, uint32(rng.IntN(4))
		case 3:
			r.Score, r.Device = 0, rows[rng.IntN(i+1)].Device
		}
		if i%2 == 0 && i > 0 { // most reports share the design of others
			keep := rows[rng.IntN(i)]
			keep.Device, keep.Sequence = r.Device, r.Sequence
			*r = keep
		}
	}
	return rows
}

// said is what a batch holds of what a report says.
func said(r *column.Report) uint64 {
	switch {
	case r.Categories == 0:
		return math.Float64bits(r.Score)
	case r.Coded:
		return r.Code
	}
	return r.Answer
}

// batchesOf cuts reports into batches.
func batchesOf(rows []column.Report, most int) []*column.Batch {
	var out []*column.Batch
	build, numbers := column.NewRows("indoor", testRef), map[column.Report]uint32{}
	for i := range rows {
		design := rows[i]
		design.Device, design.Sequence, design.Score, design.Answer, design.Code = 0, 0, 0, 0, 0
		if _, known := numbers[design]; !known {
			numbers[design] = build.Share(&design)
		}
		build.Add(numbers[design], rows[i].Device, said(&rows[i]), rows[i].Sequence)
		if build.Len() == most || i == len(rows)-1 {
			out = append(out, build.NewBatch())
			clear(numbers)
		}
	}
	return out
}

// TestReportsAreWrittenAsRecordsAre compares the file of batches, byte for byte, with that of the same rows sorted plainly and written
// as Arrow records.
func TestReportsAreWrittenAsRecordsAre(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for name, rows := range map[string][]column.Report{
		"one": makeReports(rng, 1, 1), "one sort": makeReports(rng, 1, 5000), "every sort": mixedReports(rng, 9000),
		"two row groups": mixedReports(rng, rowGroupRows+4097),
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]*bytes.Buffer{"plain": {}, "batches": {}}
			for how, file := range files {
				w, err := newTableWriter(file, tableSpec{kind: KindReports, kappa: "indoor", ref: testRef, sorted: true, zst: newCodec()})
				must(t, err)
				if how == "batches" {
					must(t, w.writeReports(sortReports(batchesOf(rows, 700))))
				} else {
					for part := range slices.Chunk(plainOrder(rows), valuesAtOnce) {
						rec := recordOf(t, part)
						must(t, w.write(rec))
						rec.Release()
					}
				}
				must(t, w.close())
			}
			plain := readParquet(t, KindReports, files["plain"].String(), memory.DefaultAllocator)
			batches := readParquet(t, KindReports, files["batches"].String(), memory.DefaultAllocator)
			if !slices.Equal(plain, batches) {
				t.Fatalf("%d rows and %d rows, or their values, differ", len(plain), len(batches))
			}
			if !bytes.Equal(files["plain"].Bytes(), files["batches"].Bytes()) {
				t.Error("the files differ")
			}
		})
	}
}

// TestSortedAsCompared holds the order against a sort by comparing, where random numbers meet: of 200,000 devices in one window about
// five pairs have the same of 2³² numbers, and some devices come twice.
func TestSortedAsCompared(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	shuffle, design := column.ShuffleOf(testRef, baseMs), makeReports(rng, 1, 1)[0]
	design.WindowStartMs = baseMs
	rows, met, first := make([]column.Report, 200_000), 0, map[uint32]uint64{}
	for i := range rows {
		rows[i] = design
		rows[i].Device, rows[i].Sequence = rng.Uint64(), uint64(i)
		if i%1000 == 999 {
			rows[i].Device = rows[i-rng.IntN(999)].Device
		}
		number := shuffle.Number(rows[i].Device)
		if other, seen := first[number]; seen && other != rows[i].Device {
			met++
		}
		first[number] = rows[i].Device
	}
	if met == 0 {
		t.Fatal("no two devices have the same number: choose another seed")
	}
	want, got := plainOrder(rows), sortReports(batchesOf(rows, 7000))
	for i, p := range got.places {
		if row := got.Row(int(p.row)); row != want[i] {
			t.Fatalf("row %d is %+v, want %+v", i, row, want[i])
		}
	}
}
