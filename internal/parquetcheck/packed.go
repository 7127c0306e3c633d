package parquetcheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

const (
	zstdMagic     = 0xfd2fb528
	zstdSkip      = 0x184d2a50 // lowest of 16 magics of frames to skip
	zstdHeadMost  = 18
	zstdBlockMost = 128 << 10 // most bytes of a block
)

// section is packed bytes in a file.
type section struct {
	in      io.ReaderAt
	at, end int64
}

func (s *section) left() int64 { return s.end - s.at }

// peek reads so many bytes, or all that are left, into b without stepping over them.
func (s *section) peek(b []byte) ([]byte, error) {
	b = b[:max(0, min(int64(len(b)), s.left()))]
	return b, readFull(s.in, b, s.at)
}

// check holds what the packed bytes unpack to against what the page claims.
func (s *section) check(codec format.CompressionCodec, claimed int64) error {
	var n int64
	var err error
	switch codec {
	case format.Snappy:
		n, err = s.snappy()
	case format.Zstd:
		n, err = s.zstd(claimed)
	case format.Lz4Raw:
		n, err = s.lz4(claimed)
	default:
		return nil
	}
	if err == nil && n > claimed {
		err = fmt.Errorf("its bytes unpack to %d, not to the %d that it claims", n, claimed)
	}
	return err
}

// snappy is the length that a block of Snappy begins with.
func (s *section) snappy() (int64, error) {
	var room [binary.MaxVarintLen64]byte
	head, err := s.peek(room[:])
	if err != nil {
		return 0, err
	}
	n, width := binary.Uvarint(head)
	if width <= 0 || n > pageBytesMost {
		return 0, errors.New("an impossible length of Snappy")
	}
	return int64(n), nil
}

// zstd is the sum of the lengths that the frames claim. A frame that claims none may be up to pageBytesMost long.
func (s *section) zstd(claimed int64) (int64, error) {
	var sum, silent int64
	for s.left() > 0 {
		frame, err := s.zstdHead()
		if err != nil {
			return 0, err
		}
		if frame.skip {
			continue
		}
		content, err := s.zstdBlocks()
		if err != nil {
			return 0, err
		}
		switch {
		case !frame.told:
			silent += content
		case frame.content > uint64(claimed):
			return 0, fmt.Errorf("a frame of Zstandard claims %d bytes, the page %d", frame.content, claimed)
		default:
			sum += int64(frame.content)
		}
		if frame.sum {
			s.at += 4
		}
		if sum > claimed || silent > pageBytesMost {
			return 0, fmt.Errorf("its frames of Zstandard unpack to more than the %d bytes that it claims", claimed)
		}
	}
	return sum, nil
}

type zstdFrame struct {
	content         uint64
	told, sum, skip bool
}

func (s *section) zstdHead() (zstdFrame, error) {
	var room [zstdHeadMost]byte
	head, err := s.peek(room[:])
	if err != nil {
		return zstdFrame{}, err
	}
	broken := errors.New("a broken frame of Zstandard")
	if len(head) < 5 {
		return zstdFrame{}, broken
	}
	switch magic := binary.LittleEndian.Uint32(head); {
	case magic&^15 == zstdSkip && len(head) >= 8:
		s.at += 8 + int64(binary.LittleEndian.Uint32(head[4:]))
		return zstdFrame{skip: true}, nil
	case magic != zstdMagic:
		return zstdFrame{}, broken
	}
	flags := head[4]
	single := flags>>5&1 == 1
	f := zstdFrame{sum: flags>>2&1 == 1}
	n := 5 + [4]int{0, 1, 2, 4}[flags&3] // the dictionary's number
	if !single {
		n++ // the window
	}
	width := [4]int{0, 2, 4, 8}[flags>>6]
	if width == 0 && single {
		width = 1
	}
	if len(head) < n+width {
		return zstdFrame{}, broken
	}
	var content [8]byte
	copy(content[:], head[n:n+width])
	f.content, f.told = binary.LittleEndian.Uint64(content[:]), width > 0
	if width == 2 {
		f.content += 256
	}
	s.at += int64(n + width)
	return f, nil
}

// zstdBlocks steps over the blocks of a frame and bounds their content.
func (s *section) zstdBlocks() (int64, error) {
	var content int64
	for {
		var room [3]byte
		head, err := s.peek(room[:])
		if err != nil {
			return 0, err
		}
		if len(head) < len(room) {
			return 0, errors.New("a frame of Zstandard without an end")
		}
		word := int64(head[0]) | int64(head[1])<<8 | int64(head[2])<<16
		size := word >> 3
		s.at += int64(len(room))
		switch word >> 1 & 3 {
		case 0: // as it is
			content += size
			s.at += size
		case 1: // one byte over and over
			content += size
			s.at++
		default:
			content += zstdBlockMost
			s.at += size
		}
		if word&1 == 1 {
			return content, nil
		}
	}
}

// lz4 is the exact length of a block of LZ4. The decoder doubles its room until a block fits, for ever if the block is
// broken, so this one reads it all.
func (s *section) lz4(claimed int64) (int64, error) {
	b := make([]byte, s.left())
	if err := readFull(s.in, b, s.at); err != nil {
		return 0, err
	}
	var out int64
	for at := 0; at < len(b); {
		token := b[at]
		at++
		literals, ok := lz4Length(b, &at, int(token>>4))
		if !ok || literals > len(b)-at {
			break
		}
		at += literals
		if out += int64(literals); at == len(b) && token&15 == 0 {
			return out, nil
		}
		if len(b)-at < 2 {
			break
		}
		offset := int64(binary.LittleEndian.Uint16(b[at:]))
		at += 2
		match, ok := lz4Length(b, &at, int(token&15))
		if !ok || offset == 0 || offset > out {
			break
		}
		if out += int64(match) + 4; out > claimed {
			break
		}
	}
	return 0, errors.New("a broken block of LZ4")
}

// lz4Length completes a length of four bits by the bytes that follow when all four are set.
func lz4Length(b []byte, at *int, n int) (int, bool) {
	if n < 15 {
		return n, true
	}
	for *at < len(b) {
		more := b[*at]
		*at++
		if n += int(more); more < 255 {
			return n, true
		}
	}
	return 0, false
}
