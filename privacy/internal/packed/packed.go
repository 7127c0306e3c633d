// Package packed writes small numbers into the bytes of a report and reads them
// back strictly: one number, one form.
//
//	buf = packed.Append(buf, code, packed.Bytes(codes))
package packed

// Bytes returns how many bytes hold every number below codes, at least 1.
func Bytes(codes uint64) int {
	n := 1
	for top := (codes - 1) >> 8; top > 0; top >>= 8 {
		n++
	}
	return n
}

// Append appends the number in so many bytes, the lowest first.
func Append(buf []byte, number uint64, bytes int) []byte {
	for range bytes {
		buf = append(buf, byte(number))
		number >>= 8
	}
	return buf
}

// Read returns the number if the report is exactly that many bytes long and the
// number is below codes.
func Read(report []byte, bytes int, codes uint64) (uint64, bool) {
	if len(report) != bytes {
		return 0, false
	}
	number := uint64(0)
	for i, b := range report {
		number |= uint64(b) << (8 * i)
	}
	return number, number < codes
}
