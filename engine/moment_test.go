package engine

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestMomentOfABatch reads it where the intake and a replay write it, and takes nothing else for it.
func TestMomentOfABatch(t *testing.T) {
	group := []*quadratv1.StoredGroup{{Kappa: "k1", Revision: 1, Window: 4}}
	whole, err := proto.Marshal(&quadratv1.StoredBatch{Version: 1, Groups: group})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		b    []byte
		want int64
	}{
		"behind the version": {append([]byte{1 << 3, 1, 4 << 3, 0xfb, 0x01}, whole...), 251},
		"in front of it":     {append([]byte{4 << 3, 7}, whole...), 7},
		"absent":             {whole, 0},
		"behind the groups":  {append(slices.Clip(whole), 4<<3, 7), 0},
		"cut":                {[]byte{1 << 3, 1, 4 << 3, 0xfb}, 0},
		"negative":           {[]byte{4 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 0},
		"no bytes":           {nil, 0},
	} {
		if got := storedMs(c.b); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
