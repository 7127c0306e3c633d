package engine

import (
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// errBatch says that a message of REPORTS is no StoredBatch of a version that the engine knows.
var errBatch = errors.New("stored batch: malformed")

// batchVersion is the version of StoredBatch that the engine reads.
const batchVersion = 1

// reports is a StoredGroup in columns. Its slices are used again for the next group.
type reports struct {
	kappa     []byte
	revision  uint64
	window    int64
	device    []uint64
	statistic []uint64
	value     []int64
	berths    []berth  // of the devices, see table and count
	said      []uint64 // of the reports that are counted: bits of the score, or what is said of categories
}

// decodeBatch calls yield for every group of a StoredBatch, one after the other in the same columns, and released for every
// release. An empty message is a batch without either.
func decodeBatch(b []byte, columns *reports, yield func(*reports), one *release, released func(*release)) error {
	version, groups := uint64(0), 0
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errBatch
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, typ, b)
		if size < 0 {
			return errBatch
		}
		switch {
		case num == 1 && typ == protowire.VarintType:
			version, _ = protowire.ConsumeVarint(b)
		case num == 2 && typ == protowire.BytesType:
			content, _ := protowire.ConsumeBytes(b)
			if version != batchVersion || !columns.decode(content) {
				return errBatch
			}
			yield(columns)
			groups++
		case num == 3 && typ == protowire.BytesType:
			content, _ := protowire.ConsumeBytes(b)
			if version != batchVersion || !one.decode(content) {
				return errBatch
			}
			released(one)
			groups++
		}
		b = b[size:]
	}
	if version != batchVersion && (version != 0 || groups > 0) {
		return errBatch
	}
	return nil
}

// storedMs is when the intake stored a StoredBatch, which stands behind its version; 0 when it isn't there.
func storedMs(b []byte) int64 {
	for range 2 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || typ != protowire.VarintType {
			return 0
		}
		v, size := protowire.ConsumeVarint(b[n:])
		if size < 0 {
			return 0
		}
		if num == 4 {
			return max(int64(v), 0)
		}
		b = b[n+size:]
	}
	return 0
}

// decode reads a StoredGroup. Packed arrays only, which is what the intake writes.
func (r *reports) decode(b []byte) bool {
	*r = reports{device: r.device[:0], statistic: r.statistic[:0], value: r.value[:0], berths: r.berths[:0], said: r.said[:0]}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, typ, b)
		if size < 0 || !r.field(num, typ, b[:size]) {
			return false
		}
		b = b[size:]
	}
	return r.window >= 0 && len(r.device) == len(r.statistic) && len(r.device) == len(r.value)
}

func (r *reports) field(num protowire.Number, typ protowire.Type, b []byte) (ok bool) {
	ok = true
	switch typ {
	case protowire.VarintType:
		v, _ := protowire.ConsumeVarint(b)
		switch num {
		case 2:
			r.revision = v
		case 3:
			r.window = int64(v)
		case 5, 6:
			ok = false
		}
	case protowire.BytesType:
		content, _ := protowire.ConsumeBytes(b)
		switch num {
		case 1:
			r.kappa = content
		case 4:
			r.device, ok = appendWords(r.device, content)
		case 5:
			r.statistic, ok = appendVarints(r.statistic, content)
		case 6:
			r.value, ok = appendSigned(r.value, content)
		}
	}
	return ok
}

// appendGroup encodes the reports at the given places as a StoredBatch of one group, for a dead letter.
func (r *reports) appendGroup(b []byte, places []uint32) []byte {
	devices := make([]byte, 0, 8*len(places))
	var statistics, values []byte
	for _, i := range places {
		devices = binary.LittleEndian.AppendUint64(devices, r.device[i])
		statistics = protowire.AppendVarint(statistics, r.statistic[i])
		values = protowire.AppendVarint(values, protowire.EncodeZigZag(r.value[i]))
	}
	var g []byte
	g = protowire.AppendTag(g, 1, protowire.BytesType)
	g = protowire.AppendBytes(g, r.kappa)
	g = protowire.AppendTag(g, 2, protowire.VarintType)
	g = protowire.AppendVarint(g, r.revision)
	g = protowire.AppendTag(g, 3, protowire.VarintType)
	g = protowire.AppendVarint(g, uint64(r.window))
	for i, packed := range [][]byte{devices, statistics, values} {
		g = protowire.AppendTag(g, protowire.Number(4+i), protowire.BytesType)
		g = protowire.AppendBytes(g, packed)
	}
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, batchVersion)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendBytes(b, g)
}
