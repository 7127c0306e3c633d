package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"

	"github.com/quadrat-dev/quadrat/edge/disk"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// The layout of ledger.anchor, versions 1 and 2: two slots, written in turn, each in a sector of its own, so that one is
// always whole. Little endian.
const (
	anchorMagic   = "QANC"
	anchorVersion = 2
	slotPitch     = 512
	slots         = 2

	atVersion    = 4
	atOwner      = 8  // 16 bytes: the beginning of the SHA-256 of the opening record's owner
	atLength     = 24 // uint64: records in the chain
	atHead       = 32 // 32 bytes: hash of the last one
	atMachine    = 64 // version 2, 16 bytes: the machine that the ledger is bound to, zero for none
	atChecksum   = 80 // uint32: CRC-32C of bytes 0…79
	atChecksumV1 = 64 // version 1, which has no machine
	slotBytes    = 84
	markBytes    = 16
)

// anchor is what the second file says of the first.
type anchor struct {
	owner   [markBytes]byte
	length  uint64
	head    [law.HashBytes]byte
	machine [markBytes]byte
}

func anchorOf(owner string, c law.Chain, machine [markBytes]byte) anchor {
	return anchor{owner: ownerMark(owner), length: c.Length(), head: c.Head(), machine: machine}
}

// ownerMark stands for the owner of a ledger.
func ownerMark(owner string) [markBytes]byte {
	sum := sha256.Sum256([]byte(owner))
	return [markBytes]byte(sum[:markBytes])
}

// machineMark stands for a machine without naming it: it differs from device to device. No identity gives zero.
func machineMark(device, machine string) [markBytes]byte {
	if machine == "" {
		return [markBytes]byte{}
	}
	sum := sha256.Sum256([]byte("quadrat machine\x00" + device + "\x00" + machine))
	return [markBytes]byte(sum[:markBytes])
}

func (a anchor) encode() []byte {
	b := make([]byte, slotBytes)
	copy(b, anchorMagic)
	b[atVersion] = anchorVersion
	copy(b[atOwner:], a.owner[:])
	binary.LittleEndian.PutUint64(b[atLength:], a.length)
	copy(b[atHead:], a.head[:])
	copy(b[atMachine:], a.machine[:])
	binary.LittleEndian.PutUint32(b[atChecksum:], checksum(b[:atChecksum]))
	return b
}

func decodeSlot(s []byte) (a anchor, ok bool) {
	if len(s) < slotBytes || string(s[:atVersion]) != anchorMagic {
		return a, false
	}
	end := atChecksum
	switch s[atVersion] {
	case 1:
		end = atChecksumV1
	case anchorVersion:
		a.machine = [markBytes]byte(s[atMachine:])
	default:
		return a, false
	}
	if binary.LittleEndian.Uint32(s[end:]) != checksum(s[:end]) {
		return anchor{}, false
	}
	a.owner, a.length = [markBytes]byte(s[atOwner:]), binary.LittleEndian.Uint64(s[atLength:])
	a.head = [law.HashBytes]byte(s[atHead:])
	return a, true
}

// decodeAnchor returns the newer of the whole slots and its place, and false when there is none.
func decodeAnchor(b []byte) (newest anchor, slot int, ok bool) {
	for i := range slots {
		if len(b) < i*slotPitch+slotBytes {
			continue
		}
		if a, whole := decodeSlot(b[i*slotPitch : i*slotPitch+slotBytes]); whole && (!ok || a.length > newest.length) {
			newest, slot, ok = a, i, true
		}
	}
	return newest, slot, ok
}

// holder is an open anchor file, in the ledger's folder or with the witness.
type holder struct {
	folder  disk.Folder
	file    disk.File
	slot    int  // of the newest anchor
	witness bool // it may be missing or behind, but never ahead
}

// put writes the slot whose turn it is and syncs. The other one, the newest so far, stays as it was.
func (h *holder) put(a anchor) error {
	next := (h.slot + 1) % slots
	if _, err := h.file.WriteAt(a.encode(), int64(next)*slotPitch); err != nil {
		return err
	}
	if err := h.file.Sync(); err != nil {
		return err
	}
	h.slot = next
	return nil
}

// bind writes both slots: what they said of the machine is void.
func (h *holder) bind(a anchor) error {
	if err := h.put(a); err != nil {
		return err
	}
	return h.put(a)
}

// begin gives the file its full length, so that it never needs room on a full disk, and writes it.
func (h *holder) begin(a anchor) error {
	if err := h.file.Truncate(0); err != nil {
		return err
	}
	if _, err := h.file.WriteAt(make([]byte, slots*slotPitch), 0); err != nil {
		return err
	}
	if err := h.put(a); err != nil {
		return err
	}
	return h.folder.Sync()
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
