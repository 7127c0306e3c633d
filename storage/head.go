package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

const (
	headVersion   = 1
	headMost      = 64 << 10 // bytes of a record
	catalogFolder = "catalog"
	catalogEnd    = ".jsonl.zst"
	catalogMost   = 1 << 30 // bytes of a share's catalog, packed or not
	nameMost      = 32      // characters of a share's name
)

// head is the record that says which catalog of a share is in force.
type head struct {
	Version  int    `json:"version"`
	Epoch    uint64 `json:"epoch"`             // of the lease of whoever opened the share last
	Term     uint64 `json:"term"`              // how often the share was opened
	Position uint64 `json:"position"`          // newest committed position
	Catalog  string `json:"catalog,omitempty"` // its object, below share=<name>/; empty before the first commit
	Bytes    int64  `json:"bytes,omitempty"`   // its length
	Digest   string `json:"digest,omitempty"`  // its SHA-256, in hexadecimal digits
}

func (h *head) encode() ([]byte, error) {
	h.Version = headVersion
	b, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	return b, nil
}

// decodeHead reads a record; of none it is the head of a share that was never opened.
func decodeHead(b []byte) (*head, error) {
	if b == nil {
		return &head{Version: headVersion}, nil
	}
	h := &head{}
	damaged := func(why string) error { return &Error{Code: Damaged, Detail: "the head of a share " + why} }
	if len(b) > headMost || json.Unmarshal(b, h) != nil {
		return nil, damaged("can't be read")
	}
	if h.Version < 1 || h.Version > headVersion {
		return nil, damaged("has an unknown version")
	}
	name, isCatalog := strings.CutPrefix(h.Catalog, catalogFolder+"/")
	empty := h.Catalog == "" && h.Bytes == 0 && h.Digest == "" && h.Position == 0
	if !empty && (!isCatalog || !lawfulCatalog(name) || h.Bytes <= 0 || h.Bytes > catalogMost || len(h.Digest) != 2*sha256.Size) {
		return nil, damaged("names a catalog that can't be")
	}
	return h, nil
}

// validName tells whether a share may be called so.
func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= nameMost
}

// prefixOf begins the names of a share's objects.
func prefixOf(share string) string { return "share=" + share + "/" }

// numberedName ends a stem with the term in which a name is made and the name's number in that term: no other name has both.
func numberedName(stem string, term, number uint64) string {
	return fmt.Sprintf("%s-t%d-%d", stem, term, number)
}

// termOf is the term that a name was made in; false for a name of another form.
func termOf(name string) (term uint64, ok bool) {
	stem, _, _ := strings.Cut(name, ".")
	rest, number, ok := cutLast(stem, "-")
	if !ok {
		return 0, false
	}
	_, text, ok := cutLast(rest, "-t")
	if !ok {
		return 0, false
	}
	term, err := strconv.ParseUint(text, 10, 64)
	_, errNumber := strconv.ParseUint(number, 10, 64)
	return term, err == nil && errNumber == nil
}

func cutLast(s, separator string) (before, after string, ok bool) {
	at := strings.LastIndex(s, separator)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(separator):], true
}

// lawfulCatalog tells whether an object in a share's folder of catalogs can be called so.
func lawfulCatalog(name string) bool {
	stem, ok := strings.CutSuffix(name, catalogEnd)
	_, numbered := termOf(stem)
	return ok && numbered && strings.HasPrefix(stem, catalogFolder+"-t") && !strings.ContainsAny(stem, "./\\")
}

// pack is a catalog as an object of a share: zstd over the lines that a folder's has.
func (c *catalog) pack() ([]byte, error) {
	b, err := c.encode()
	if err != nil {
		return nil, err
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	return w.EncodeAll(b, nil), nil
}

// unpackCatalog reads a packed catalog of a share.
func unpackCatalog(b []byte, share string) (*catalog, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(catalogMost))
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	defer r.Close()
	text, err := r.DecodeAll(b, nil)
	if err != nil {
		return nil, &Error{Code: Damaged, Detail: "the catalog can't be unpacked"}
	}
	c, err := decodeCatalog(text)
	if err != nil {
		return nil, err
	}
	for i := range c.segments {
		c.segments[i].share = share
	}
	return c, nil
}

// fetchCatalog gives the catalog that a head names.
func fetchCatalog(ctx context.Context, from Objects, pace clock.Clock, share string, h *head) (*catalog, error) {
	if h.Catalog == "" {
		return &catalog{}, nil
	}
	var b bytes.Buffer
	d := download{from: from, name: prefixOf(share) + h.Catalog, pace: pace}
	if err := d.all(ctx, 0, h.Bytes, &b); err != nil {
		return nil, fmt.Errorf("catalog of share %s: %w", share, err)
	}
	if sum := sha256.Sum256(b.Bytes()); hex.EncodeToString(sum[:]) != h.Digest {
		return nil, &Error{Code: Damaged, Detail: "the catalog of share " + share + " is not what was written"}
	}
	c, err := unpackCatalog(b.Bytes(), share)
	if err == nil && c.position != h.Position {
		err = &Error{Code: Damaged, Detail: "the catalog of share " + share + " is of another position than its head says"}
	}
	return c, err
}
