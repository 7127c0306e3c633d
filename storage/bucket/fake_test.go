package bucket_test

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// s3 is an object store that speaks as much of S3 as is needed here, over loopback HTTP: PUT, GET with a range, HEAD and
// DELETE of objects of one bucket, each with its signature's key looked at and its MD5 checked.
type s3 struct {
	*httptest.Server

	mu                   sync.Mutex
	objects              map[string][]byte
	requests             map[string]int // by method
	fail                 int            // this many requests get 503
	cut                  int            // this many bodies of GET break off in the middle
	slow                 time.Duration  // before each answer
	flip                 bool           // a bit of what is put changes on its way
	rangeless, forgetful bool           // it gives whole objects; it lists none
}

const bucketName, accessKey = "area", "AKIAEXAMPLE"

func newS3(t *testing.T) *s3 {
	t.Helper()
	s := &s3{objects: map[string][]byte{}, requests: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *s3) names() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.objects {
		out = append(out, name)
	}
	return out
}

// set changes how it fails.
func (s *s3) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// ServeHTTP answers one request.
func (s *s3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, bodyErr := readBody(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[r.Method]++
	if s.slow > 0 {
		time.Sleep(s.slow)
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/"+bucketName+"/")
	lists := r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2"
	switch {
	case s.fail > 0:
		s.fail--
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
	case !strings.Contains(r.Header.Get("Authorization"), "Credential="+accessKey+"/"):
		refuse(w, http.StatusForbidden, "AccessDenied")
	case !ok && r.URL.Path != "/"+bucketName && r.URL.Path != "/"+bucketName+"/":
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case lists:
		s.list(w, r)
	case !ok || bodyErr != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequest")
	case r.Method == http.MethodPut:
		s.put(w, r, name, body)
	case r.Method == http.MethodDelete:
		delete(s.objects, name)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.get(w, r, name)
	}
}

func (s *s3) put(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	if s.flip {
		body[len(body)/2] ^= 1
	}
	sum := md5.Sum(body)
	if r.Header.Get("Content-MD5") != base64.StdEncoding.EncodeToString(sum[:]) {
		refuse(w, http.StatusBadRequest, "BadDigest")
		return
	}
	s.objects[name] = body
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
}

// list gives names, two a page.
func (s *s3) list(w http.ResponseWriter, r *http.Request) {
	prefix, after := r.URL.Query().Get("prefix"), r.URL.Query().Get("continuation-token")
	var names []string
	for name := range s.objects {
		if strings.HasPrefix(name, prefix) && name > after && !s.forgetful {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	page := names[:min(len(names), 2)]
	w.Header().Set("Content-Type", "application/xml")
	_, _ = fmt.Fprintf(w, "<ListBucketResult><Name>%s</Name><KeyCount>%d</KeyCount><IsTruncated>%v</IsTruncated>", bucketName, len(page), len(page) < len(names))
	if len(page) < len(names) {
		_, _ = fmt.Fprintf(w, "<NextContinuationToken>%s</NextContinuationToken>", page[len(page)-1])
	}
	for _, name := range page {
		_, _ = fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size></Contents>", name, len(s.objects[name]))
	}
	_, _ = io.WriteString(w, "</ListBucketResult>")
}

func (s *s3) get(w http.ResponseWriter, r *http.Request, name string) {
	content, ok := s.objects[name]
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	sum := md5.Sum(content)
	h := w.Header()
	h.Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
	h.Set("Last-Modified", "Fri, 20 Nov 2026 10:00:00 GMT")
	status := http.StatusOK
	if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && !s.rangeless {
		first, second, _ := strings.Cut(text, "-")
		from, err := strconv.Atoi(first)
		last, errLast := strconv.Atoi(second)
		if err != nil || errLast != nil || from >= len(content) || last < from {
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		last = min(last, len(content)-1)
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, last, len(content)))
		content, status = content[from:last+1], http.StatusPartialContent
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if s.cut > 0 {
		s.cut--
		_, _ = w.Write(content[:len(content)/2])
		panic(http.ErrAbortHandler) // the connection breaks
	}
	_, _ = w.Write(content)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants it</Message></Error>", code)
}

// readBody reads a body, which may come in signed chunks.
func readBody(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return io.ReadAll(r.Body)
	}
	in := bufio.NewReader(r.Body)
	var out []byte
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		digits, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(digits, 16, 64)
		if err != nil || n == 0 {
			_, _ = io.Copy(io.Discard, in)
			return out, err
		}
		chunk := make([]byte, n+2) // and a line's end
		if _, err := io.ReadFull(in, chunk); err != nil {
			return nil, err
		}
		out = append(out, chunk[:n]...)
	}
}
