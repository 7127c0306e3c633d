package memo_test

import "testing"

// BenchmarkAnswer is what a device computes for a report: the mark of the category, and both rounds.
func BenchmarkAnswer(b *testing.B) {
	m, key := mechanism(b, 2*one, one, 8), keyOf(1)
	buf := make([]byte, 0, m.Bytes())
	b.ReportAllocs()
	for i := range b.N {
		_ = m.Tag(key, "room", 3)
		if _, err := m.Answer(key, "room", int64(i), 3, buf); err != nil {
			b.Fatal(err)
		}
	}
}
