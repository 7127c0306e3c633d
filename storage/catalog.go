package storage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
)

const (
	catalogName = "catalog.jsonl"
	// catalogVersion counts: 1 had no format and no generation of segments, nothing was gone, and there was no archive; 2 had no
	// blocks of segments and didn't say since when objects are condemned.
	catalogVersion = 3
)

// Segment is one Parquet file that counts.
type Segment struct {
	Kind          Kind   `json:"kind"`
	Ref           string `json:"ref"`             // reference of the kappa
	Date          string `json:"date"`            // UTC date of its windows' starts, YYYY-MM-DD
	Name          string `json:"name"`            // file in the folder <kind>/kappa=<ref>/date=<date>
	First         uint64 `json:"first"`           // first position of the stream that it may hold rows of
	Last          uint64 `json:"last"`            // last one
	Rows          int64  `json:"rows"`            // rows
	Bytes         int64  `json:"bytes"`           // length of the file
	WindowFirstMs int64  `json:"window_first_ms"` // least window start, in milliseconds from the UTC epoch
	WindowLastMs  int64  `json:"window_last_ms"`  // greatest window start
	// Format is the version of its columns; 0 for one that was not noted.
	Format int `json:"format,omitempty"`
	// Generation is 0 for a segment of commits, and of a compacted one the greatest among those it was made of plus 1.
	Generation int `json:"generation,omitempty"`
	// Archived is the SHA-256 of the file, in hexadecimal digits, once the archive has it.
	Archived string `json:"archived,omitempty"`
	// Remote tells that the archive alone has it.
	Remote bool `json:"remote,omitempty"`
	// Blocks is the digests of the file's blocks, one after the other, when it is an object of which parts are read.
	Blocks string `json:"blocks,omitempty"`

	share string // the share that it belongs to, empty in a folder
}

// place is where the segment's rows go.
func (s *Segment) place() place { return place{ref: s.Ref, date: s.Date} }

// folder is where the segment lies, below the store's folder.
func (s *Segment) folder() []string {
	return []string{string(s.Kind), "kappa=" + s.Ref, "date=" + s.Date}
}

// path is where the segment lies.
func (s *Segment) path(root string) string {
	return filepath.Join(append(append([]string{root}, s.folder()...), s.Name)...)
}

// catalogHead is the first line of the catalog.
type catalogHead struct {
	Version  int    `json:"version"`
	Position uint64 `json:"position"`
	Segments int    `json:"segments"`
	Gone     int    `json:"gone,omitempty"`
	Objects  int    `json:"objects,omitempty"`
	Checksum uint32 `json:"checksum"` // CRC-32C of "<position> <segments>\n" and all that follows the first line
}

// catalog is what the store has committed: a position of the stream, the segments up to it, and what there was once.
type catalog struct {
	position  uint64
	segments  []Segment
	gone      []Gone      // what retention has removed
	condemned []condemned // objects that may be there and that no segment needs
}

// condemned is one of them.
type condemned struct {
	Object  string `json:"object"`
	SinceMs int64  `json:"since_ms,omitempty"` // when a share ceased to need it; the archive of a folder has no such delay
}

// sum is the checksum of a catalog whose first line says h and is followed by body.
func (h *catalogHead) sum(body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(fmt.Appendf(nil, "%d %d\n", h.Position, h.Segments), table), table, body)
}

// encode is a line of JSON for the head, one for each segment, one for each Gone and one for each condemned object.
func (c *catalog) encode() ([]byte, error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	for i := range c.segments {
		if err := e.Encode(&c.segments[i]); err != nil {
			return nil, fmt.Errorf("catalog: %w", err)
		}
	}
	for i := range c.gone {
		if err := e.Encode(&c.gone[i]); err != nil {
			return nil, fmt.Errorf("catalog: %w", err)
		}
	}
	for i := range c.condemned {
		if err := e.Encode(&c.condemned[i]); err != nil {
			return nil, fmt.Errorf("catalog: %w", err)
		}
	}
	h := catalogHead{
		Version: catalogVersion, Position: c.position, Segments: len(c.segments), Gone: len(c.gone), Objects: len(c.condemned),
	}
	h.Checksum = h.sum(body.Bytes())
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	return append(append(head, '\n'), body.Bytes()...), nil
}

// decodeCatalog reads a catalog whose every segment has a lawful path.
func decodeCatalog(b []byte) (*catalog, error) {
	damaged := func(why string) error { return &Error{Code: Damaged, Detail: "the catalog " + why} }
	line, body, _ := bytes.Cut(b, []byte{'\n'})
	var head catalogHead
	if json.Unmarshal(line, &head) != nil {
		return nil, damaged("has no head")
	}
	if head.Version < 1 || head.Version > catalogVersion {
		return nil, damaged(fmt.Sprintf("has the version %d, and this program reads 1 to %d", head.Version, catalogVersion))
	}
	if head.Checksum != head.sum(body) {
		return nil, damaged("does not match its checksum")
	}
	c := &catalog{position: head.Position}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		if err := c.line(lines.Bytes(), &head); err != nil {
			return nil, err
		}
	}
	if lines.Err() != nil || len(c.segments) != head.Segments || len(c.gone) != head.Gone || len(c.condemned) != head.Objects {
		return nil, damaged("has another number of lines than it says")
	}
	return c, nil
}

// line takes one line: segments come first, then what is gone, then condemned objects.
func (c *catalog) line(b []byte, head *catalogHead) error {
	switch {
	case len(c.segments) < head.Segments:
		var s Segment
		if json.Unmarshal(b, &s) != nil || !s.lawful() {
			return &Error{Code: Damaged, Detail: "the catalog names a segment that can't be"}
		}
		c.segments = append(c.segments, s)
	case len(c.gone) < head.Gone:
		var g Gone
		if json.Unmarshal(b, &g) != nil || !g.lawful() {
			return &Error{Code: Damaged, Detail: "the catalog says of rows that are gone what can't be"}
		}
		c.gone = append(c.gone, g)
	default:
		var o condemned
		if json.Unmarshal(b, &o) != nil || !lawfulObject(o.Object) {
			return &Error{Code: Damaged, Detail: "the catalog names an object that can't be"}
		}
		c.condemned = append(c.condemned, o)
	}
	return nil
}

// lawfulObject tells whether a name is one that the object of a segment or of a share's catalog can have.
func lawfulObject(name string) bool {
	parts := strings.Split(name, "/")
	if len(parts) == 2 && parts[0] == catalogFolder {
		return lawfulCatalog(parts[1])
	}
	if len(parts) != 4 {
		return false
	}
	ref, isRef := strings.CutPrefix(parts[1], "kappa=")
	date, isDate := strings.CutPrefix(parts[2], "date=")
	s := Segment{Kind: Kind(parts[0]), Ref: ref, Date: date, Name: parts[3], Rows: 1}
	return isRef && isDate && s.lawful()
}

func (s *Segment) lawful() bool {
	known := s.Kind == KindReports || s.Kind == KindResults || s.Kind == KindStrata
	return known && validRef(s.Ref) && len(s.Date) == 10 && filepath.Base(s.Date) == s.Date &&
		filepath.Base(s.Name) == s.Name && filepath.Ext(s.Name) == ".parquet" && s.First <= s.Last && s.Rows > 0 && s.Format >= 0 && s.Format <= s.Kind.version() && s.Generation >= 0 &&
		(len(s.Archived) == 64 || s.Archived == "" && !s.Remote) && (s.Blocks == "" || len(s.Blocks) == digestLength*blocksOf(s.Bytes))
}
