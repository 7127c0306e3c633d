package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"

	"github.com/quadrat-dev/quadrat/edge/disk"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// The layout of ledger.anchor, version 1: two slots, written in turn, each in a sector of its own, so that one is always
// whole. Little endian.
const (
	anchorMagic   = "QANC"
	anchorVersion = 1
	slotPitch     = 512
	slots         = 2

	atVersion  = 4
	atOwner    = 8  // 16 bytes: the beginning of the SHA-256 of the opening record's owner
	atLength   = 24 // uint64: records in the chain
	atHead     = 32 // 32 bytes: hash of the last one
	atChecksum = 64 // uint32: CRC-32C of bytes 0…63
	slotBytes  = 68
	ownerBytes = 16
)

// anchor is what the second file says of the first.
type anchor struct {
	owner  [ownerBytes]byte
	length uint64
	head   [law.HashBytes]byte
}

func anchorOf(owner string, c law.Chain) anchor {
	sum := sha256.Sum256([]byte(owner))
	return anchor{owner: [ownerBytes]byte(sum[:ownerBytes]), length: c.Length(), head: c.Head()}
}

func (a anchor) encode() []byte {
	b := make([]byte, slotBytes)
	copy(b, anchorMagic)
	b[atVersion] = anchorVersion
	copy(b[atOwner:], a.owner[:])
	binary.LittleEndian.PutUint64(b[atLength:], a.length)
	copy(b[atHead:], a.head[:])
	binary.LittleEndian.PutUint32(b[atChecksum:], checksum(b[:atChecksum]))
	return b
}

// decodeAnchor returns the newer of the whole slots, and false when there is none.
func decodeAnchor(b []byte) (newest anchor, ok bool) {
	for i := range slots {
		from := i * slotPitch
		if len(b) < from+slotBytes {
			continue
		}
		s := b[from : from+slotBytes]
		if string(s[:atVersion]) != anchorMagic || s[atVersion] != anchorVersion ||
			binary.LittleEndian.Uint32(s[atChecksum:]) != checksum(s[:atChecksum]) {
			continue
		}
		a := anchor{
			owner: [ownerBytes]byte(s[atOwner:]), length: binary.LittleEndian.Uint64(s[atLength:]),
			head: [law.HashBytes]byte(s[atHead:]),
		}
		if !ok || a.length > newest.length {
			newest, ok = a, true
		}
	}
	return newest, ok
}

// put writes the slot whose turn it is and syncs. The other slot stays as it was.
func (a anchor) put(f disk.File) error {
	at := int64(a.length%slots) * slotPitch
	if _, err := f.WriteAt(a.encode(), at); err != nil {
		return err
	}
	return f.Sync()
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
