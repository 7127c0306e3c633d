package packed_test

import (
	"testing"

	"github.com/quadrat-dev/quadrat/privacy/internal/packed"
)

func TestOneNumberOneForm(t *testing.T) {
	for _, codes := range []uint64{1, 2, 256, 257, 65_536, 65_537, 1 << 28} {
		bytes := packed.Bytes(codes)
		for _, number := range []uint64{0, 1, codes / 3, codes - 1, codes, codes + 255} {
			if number >= 1<<(8*bytes) {
				continue
			}
			report := packed.Append(nil, number, bytes)
			got, ok := packed.Read(report, bytes, codes)
			if ok != (number < codes) || ok && got != number {
				t.Errorf("%d of %d: %x reads as %d, %v", number, codes, report, got, ok)
			}
			for _, wrong := range [][]byte{report[1:], append(report, 0)} {
				if _, ok := packed.Read(wrong, bytes, codes); ok {
					t.Errorf("%d of %d: %d bytes are read", number, codes, len(wrong))
				}
			}
		}
		if n := packed.Bytes(codes); n > 1 && codes-1 < 1<<(8*(n-1)) {
			t.Errorf("%d codes take %d bytes", codes, n)
		}
	}
}
