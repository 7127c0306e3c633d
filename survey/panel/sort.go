package panel

import "slices"

const (
	sortPlainMost  = 1 << 12 // numbers below which one bucket is as fast
	sortBucketSize = 1 << 8  // numbers that a bucket has on average
)

// Sort sorts numbers in ascending order, in place. It relies on their being spread evenly over the circle, as those of a
// frame are: it throws them into buckets by their leading bits and sorts each bucket, which takes time linear in their
// number; for any other numbers it is right and no slower than twice a general sort. It takes as much memory again.
func Sort(numbers []Number) {
	if len(numbers) < sortPlainMost {
		slices.Sort(numbers)
		return
	}
	shift := uint(64)
	for size := 1; size < len(numbers)/sortBucketSize; size *= 2 {
		shift--
	}
	ends := make([]int, 1<<(64-shift))
	for _, x := range numbers {
		ends[x>>shift]++
	}
	sum := 0
	for i, n := range ends {
		ends[i] = sum // where the bucket begins; the scatter below moves it to its end
		sum += n
	}
	scattered := make([]Number, len(numbers))
	for _, x := range numbers {
		b := x >> shift
		scattered[ends[b]] = x
		ends[b]++
	}
	from := 0
	for _, to := range ends {
		slices.Sort(scattered[from:to])
		from = to
	}
	copy(numbers, scattered)
}
