package panel

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// frame draws sorted numbers: mostly spread, sometimes crowded round a point so that neighbours and the wrap are hit.
func frame(t *rapid.T, label string) []Number {
	spread := rapid.Custom(func(t *rapid.T) Number { return Number(rapid.Uint64().Draw(t, "number")) })
	crowded := rapid.Custom(func(t *rapid.T) Number { return Number(rapid.Uint64Range(0, 200).Draw(t, "near") - 100) })
	one := spread
	if rapid.Bool().Draw(t, label+" crowded") {
		one = crowded
	}
	numbers := rapid.SliceOfNDistinct(one, 0, 60, rapid.ID[Number]).Draw(t, label)
	slices.Sort(numbers)
	return numbers
}

// cuts draws a lap's shape and sizes that fit the frame; the sum is the whole frame if all is set.
func cuts(t *rapid.T, frame int, all bool) (lapWindows, slots uint32, sizes []int) {
	lapWindows = rapid.Uint32Range(1, 8).Draw(t, "windows")
	slots = rapid.Uint32Range(1, 4).Draw(t, "slots")
	sizes = make([]int, lapWindows*slots)
	left := frame
	for i := range sizes {
		sizes[i] = rapid.IntRange(0, min(left, 12)).Draw(t, "size")
		left -= sizes[i]
	}
	if all {
		sizes[rapid.IntRange(0, len(sizes)-1).Draw(t, "rest in")] += left
	}
	return lapWindows, slots, sizes
}

// fromOrigin returns the numbers in the order in which the plain rule visits them.
func fromOrigin(sorted []Number, origin Number) []Number {
	out := slices.Clone(sorted)
	slices.SortFunc(out, func(a, b Number) int {
		if a-origin < b-origin {
			return -1
		}
		return 1
	})
	return out
}

// The oracle: walk the circle from the origin and deal the numbers to the arcs one by one.
func TestDrawHoldsExactlyTheSizes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := frame(t, "frame")
		origin := Number(rapid.Uint64().Draw(t, "origin"))
		if len(numbers) > 0 && rapid.Bool().Draw(t, "at a number") {
			origin = rapid.SampledFrom(numbers).Draw(t, "origin number")
		}
		lapWindows, slots, sizes := cuts(t, len(numbers), rapid.Bool().Draw(t, "all"))
		r, err := Draw(numbers, origin, lapWindows, slots, sizes)
		if err != nil {
			if !refusalIsRight(err, numbers, origin, sizes) {
				t.Fatalf("%v", err)
			}
			return
		}
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		order, k := fromOrigin(numbers, origin), 0
		for i, size := range sizes {
			for range size {
				window, slot, ok := r.Place(order[k])
				if !ok || window*slots+slot != uint32(i) {
					t.Fatalf("number %v: window %d, slot %d, %v; want arc %d", order[k], window, slot, ok, i)
				}
				k++
			}
		}
		for _, n := range order[k:] {
			if _, _, ok := r.Place(n); ok {
				t.Fatalf("%v should rest", n)
			}
		}
		wantNext := r.Origin
		if k < len(order) {
			wantNext = order[k]
		}
		if got := Next(numbers, r); got != wantNext {
			t.Fatalf("next origin %v, want %v", got, wantNext)
		}
		if k == len(order) {
			joiner := Number(rapid.Uint64().Draw(t, "joiner"))
			if _, _, ok := r.Place(joiner); !ok {
				t.Fatalf("joiner %v has no arc", joiner)
			}
		}
	})
}

// With distinct numbers the only refusal is that of an empty first arc when the point below the first number is taken.
func refusalIsRight(err error, numbers []Number, origin Number, sizes []int) bool {
	var e *Error
	order := fromOrigin(numbers, origin)
	return errors.As(err, &e) && e.Code == Equal && sizes[0] == 0 && order[len(order)-1] == order[0]-1 &&
		e.Number == order[0]-1
}

func TestDueAtMostOncePerLapAndEveryStatisticInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := frame(t, "frame")
		all := rapid.Bool().Draw(t, "all")
		lapWindows, slots, sizes := cuts(t, len(numbers), all)
		r, err := Draw(numbers, Number(rapid.Uint64().Draw(t, "origin")), lapWindows, slots, sizes)
		if err != nil {
			return
		}
		lap0 := rapid.Int64Range(0, math.MaxInt64/int64(lapWindows)-int64(slots)).Draw(t, "lap")
		for _, n := range numbers {
			answered := make([]int, slots)
			total := 0
			for lap := lap0; lap < lap0+int64(slots); lap++ {
				due := 0
				for w := range int64(lapWindows) {
					if statistic, ok := r.Due(n, lap*int64(lapWindows)+w); ok {
						due++
						answered[statistic]++
					}
				}
				if due > 1 || (all && due != 1) {
					t.Fatalf("%v is due %d times in lap %d", n, due, lap)
				}
				total += due
			}
			if total != 0 && slices.Max(answered)-slices.Min(answered) > 0 {
				t.Fatalf("in %d laps %v answered %v", slots, n, answered)
			}
		}
	})
}

// Laps that each begin with the first number that rested visit every device before any a second time.
func TestNextVisitsEveryoneBeforeAnyoneTwice(t *testing.T) {
	var salt Salt
	numbers := make([]Number, 0, 103)
	for _, name := range names(103) {
		numbers = append(numbers, NumberOf(salt, name))
	}
	slices.Sort(numbers)
	visits := make(map[Number]int)
	origin := Number(1) << 63
	for lap := 1; lap <= 50; lap++ {
		r, err := Draw(numbers, origin, 4, 2, Partition(24, 8))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range numbers {
			if _, _, ok := r.Place(n); ok {
				visits[n]++
			}
		}
		for _, n := range numbers {
			if v := visits[n]; v < lap*24/103 || v > (lap*24+102)/103 {
				t.Fatalf("after %d laps %v was visited %d times", lap, n, v)
			}
		}
		origin = Next(numbers, r)
	}
}

func TestDueNeverInNegativeWindowsOrInvalidRotations(t *testing.T) {
	r := Rotation{LapWindows: 1, Slots: 1, Last: []uint64{math.MaxUint64}}
	if _, due := r.Due(5, -1); due {
		t.Error("due in a negative window")
	}
	if _, due := r.Due(5, 0); !due {
		t.Error("not due where the arc is the whole circle")
	}
	for _, bad := range []Rotation{
		{},
		{LapWindows: 2, Slots: 1, Last: []uint64{1}},
		{LapWindows: 1, Slots: 1},
		{LapWindows: 1, Slots: 2, Last: []uint64{2, 1}},
		{LapWindows: 0, Slots: 1, Last: []uint64{math.MaxUint64}},
		{LapWindows: 1, Slots: 0, Last: []uint64{math.MaxUint64}},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
		for _, n := range []Number{0, 1, 2, math.MaxUint64} {
			if statistic, due := bad.Due(n, 0); due && statistic >= bad.Slots {
				t.Errorf("%+v: statistic %d", bad, statistic)
			}
		}
	}
}

func TestDrawRefuses(t *testing.T) {
	numbers := []Number{10, 20, 20, 30}
	cases := []struct {
		name    string
		numbers []Number
		sizes   []int
		code    Code
		number  Number
	}{
		{"equal numbers at a cut", numbers, []int{2, 2}, Equal, 20},
		{"equal numbers at the last cut", numbers, []int{1, 1}, Equal, 20},
		{"too many", numbers, []int{3, 2}, TooMany, 0},
		{"a huge size", numbers, []int{4, math.MaxInt}, TooMany, 0},
		{"a negative size", numbers, []int{-1, 2}, Shape, 0},
		{"a size too few", numbers, []int{2}, Shape, 0},
		{"unsorted", []Number{2, 1}, []int{1, 1}, Sorted, 1},
		{"no room for an empty first arc", []Number{9, 10}, []int{0, 2}, Equal, 9},
	}
	for _, c := range cases {
		_, err := Draw(c.numbers, 10, 2, 1, c.sizes)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || e.Number != c.number {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if r, err := Draw(numbers, 10, 2, 1, []int{3, 1}); err != nil || r.Last[0] != 19 {
		t.Errorf("equal numbers inside an arc: %+v, %v", r, err)
	}
}

func TestEmptyFrameHasArcsOfEqualLength(t *testing.T) {
	r, err := Draw(nil, 77, 5, 1, make([]int, 5))
	if err != nil {
		t.Fatal(err)
	}
	before := uint64(0)
	for i, last := range r.Last {
		if length := last - before; length > math.MaxUint64/5+1 || length < math.MaxUint64/5-1 {
			t.Errorf("arc %d has length %d", i, length)
		}
		before = last
	}
	if r.Last[4] != math.MaxUint64 {
		t.Error("the circle isn't covered")
	}
}

func TestPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, k := rapid.IntRange(0, 10_000).Draw(t, "n"), rapid.IntRange(1, 300).Draw(t, "k")
		sizes, sum := Partition(n, k), 0
		for i, size := range sizes {
			sum += size
			if size < n/k || size > (n+k-1)/k {
				t.Fatalf("size %d of %d/%d", size, n, k)
			}
			// Spread evenly: every beginning holds its share to within one unit.
			if sum*k > (i+1)*n || (sum+1)*k <= (i+1)*n {
				t.Fatalf("%v: the first %d hold %d", sizes, i+1, sum)
			}
		}
		if sum != n || len(sizes) != k {
			t.Fatalf("%v", sizes)
		}
	})
	if Partition(3, 0) != nil || !slices.Equal(Partition(-3, 2), []int{0, 0}) {
		t.Error("limits")
	}
	if got := Partition(math.MaxInt, 3); got[0]+got[1]+got[2] != math.MaxInt {
		t.Error("overflow")
	}
}
