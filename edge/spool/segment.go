package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/edge/disk"
)

// The layout, version 1, little endian. A segment is named spool-<number, 16 hex digits>.log, numbers ascending, and has
// a head and records.
//
// Head: "QSPL", version, 3 zero bytes, first id uint64, totals 5 × uint64, CRC-32C of all before.
// Record: CRC-32C of the rest uint32, bytes of payload uint16, kind, zero byte, id uint64, payload.
const (
	magic       = "QSPL"
	version     = 1
	headBytes   = 60
	recordBytes = 16
	payloadMost = 1 << 15

	prefix = "spool-"
	suffix = ".log"
)

// kind says what a record is.
type kind uint8

const (
	kindReport   kind = 1 // payload: the report
	kindStored   kind = 2 // the report with this id is on the intake's disk
	kindRejected kind = 3 // the intake will never take it
)

// segment is one file.
type segment struct {
	name    string
	file    disk.File
	size    int64
	pending int
	sealed  bool // nothing is appended any more
}

func segmentName(number uint64) string { return fmt.Sprintf("%s%016x%s", prefix, number, suffix) }

// numberOf is the inverse of segmentName.
func numberOf(name string) (uint64, bool) {
	middle, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	middle, ok = strings.CutSuffix(middle, suffix)
	if !ok || len(middle) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(middle, 16, 64)
	return number, err == nil
}

func encodeHead(first uint64, t Totals) []byte {
	b := make([]byte, 0, headBytes)
	b = append(b, magic...)
	b = append(b, version, 0, 0, 0)
	for _, n := range []uint64{first, t.Appended, t.Stored, t.Rejected, t.Dropped, t.Damaged} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

func decodeHead(b []byte) (first uint64, t Totals, ok bool) {
	if len(b) < headBytes || string(b[:4]) != magic || b[4] != version ||
		binary.LittleEndian.Uint32(b[headBytes-4:]) != checksum(b[:headBytes-4]) {
		return 0, t, false
	}
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8+8*i:]) }
	return number(0), Totals{
		Appended: number(1), Stored: number(2), Rejected: number(3), Dropped: number(4), Damaged: number(5),
	}, true
}

func encodeRecord(k kind, id uint64, payload []byte) []byte {
	b := make([]byte, 4, recordBytes+len(payload))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, byte(k), 0)
	b = binary.LittleEndian.AppendUint64(b, id)
	b = append(b, payload...)
	binary.LittleEndian.PutUint32(b, checksum(b[4:]))
	return b
}

// decodeRecord reads the record at the beginning of b; size is its length.
func decodeRecord(b []byte) (k kind, id uint64, payload []byte, size int, ok bool) {
	if len(b) < recordBytes {
		return 0, 0, nil, 0, false
	}
	size = recordBytes + int(binary.LittleEndian.Uint16(b[4:]))
	if len(b) < size || binary.LittleEndian.Uint32(b) != checksum(b[4:size]) {
		return 0, 0, nil, 0, false
	}
	return kind(b[6]), binary.LittleEndian.Uint64(b[8:]), b[recordBytes:size], size, true
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
