package external_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	natsserver "github.com/nats-io/nats-server/v2/server"
)

// With these flags the object store is a server outside, which has the bucket.
var (
	s3Server = flag.String("s3", "", "URL of an S3 server to keep rows in, in place of gofakes3")
	s3Bucket = flag.String("s3-bucket", "quadrat", "its bucket")
	s3Keys   = flag.String("s3-key-file", "", "file with access key and secret key of it")
)

// objectStore is an S3 server that nobody here has written, behind a gate that can let it be away or slow, or refuse. Without the flag it is
// gofakes3, which looks at no signature; the gate then knows the key.
type objectStore struct {
	url, bucket, folder, keys string

	away, slow     atomic.Bool
	refuses        atomic.Pointer[refusal]
	mu             sync.Mutex
	answered, hurt map[string]int // requests by method: let through, and not
}

// refusal is what the gate answers in place of the store.
type refusal struct {
	status int
	code   string
}

const s3Key = "AKIAEXAMPLE"

func openObjectStore(t *testing.T) *objectStore {
	t.Helper()
	o := &objectStore{bucket: *s3Bucket, folder: "town-" + rand.Text(), answered: map[string]int{}, hurt: map[string]int{}}
	var behind http.Handler
	if *s3Server == "" {
		memory := s3mem.New()
		if err := memory.CreateBucket(o.bucket); err != nil {
			t.Fatal(err)
		}
		behind = knows(gofakes3.New(memory, gofakes3.WithIntegrityCheck(true)).Server())
		o.keys = keyFile(t, s3Key, "a-secret-of-the-test")
	} else {
		at, err := url.Parse(*s3Server)
		if err != nil {
			t.Fatal(err)
		}
		// The host that is asked for stays, since it is signed.
		behind = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = at.Scheme, at.Host }}
		o.keys = *s3Keys
	}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.pass(w, r, behind) }))
	t.Cleanup(gate.Close)
	o.url = gate.URL
	return o
}

// knows refuses other keys.
func knows(behind http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential="+s3Key+"/") {
			refuse(w, http.StatusForbidden, "InvalidAccessKeyId")
			return
		}
		behind.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants it</Message></Error>", code)
}

func (o *objectStore) pass(w http.ResponseWriter, r *http.Request, behind http.Handler) {
	count := func(of map[string]int) {
		o.mu.Lock()
		defer o.mu.Unlock()
		of[r.Method]++
	}
	if o.away.Load() {
		count(o.hurt)
		panic(http.ErrAbortHandler) // the connection breaks
	}
	if with := o.refuses.Load(); with != nil {
		count(o.hurt)
		_, _ = io.Copy(io.Discard, r.Body)
		refuse(w, with.status, with.code)
		return
	}
	if o.slow.Load() {
		time.Sleep(200 * time.Millisecond)
	}
	count(o.answered)
	behind.ServeHTTP(w, r)
}

func keyFile(t *testing.T, access, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(access+"\n"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// flags are those of a process that keeps its rows there.
func (o *objectStore) flags() []string {
	return []string{"--bucket", "s3://" + o.bucket + "/" + o.folder, "--archive-endpoint", o.url, "--archive-key-file", o.keys}
}

// outsideNATS starts a NATS server as docs/operations.md wants it.
func outsideNATS(t *testing.T) string {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 8 << 20, JetStream: true, StoreDir: t.TempDir(),
		SyncAlways: true, JetStreamMaxStore: 1 << 40, JetStreamLimits: natsserver.JSLimitOpts{DefaultMaxConsumers: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server is not ready")
	}
	return s.ClientURL()
}

// member is a process of a cluster.
func member(t *testing.T, role, nats string, o *objectStore, flags ...string) *program {
	t.Helper()
	p := &program{
		path: filepath.Join(programs, "quadrat"), data: t.TempDir(), httpAddress: ownAddress(t), grpcAddress: ownAddress(t),
		flags: append(append([]string{"--role", role, "--nats", nats, "--shares", "2", "--checkpoint-every", "200ms"}, o.flags()...), flags...),
	}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s:\n%s", role, p.log.String())
		}
	})
	return p
}

// A cluster keeps rows and results in an object store that is away when an engine starts, and then, while devices report, busy, not to be
// written by these keys, without its bucket, slow and away; one of two engines is killed besides, and comes back. What the devices know to be stored is in the results and in the export, once.
func TestAClusterOverAnObjectStoreLosesNothing(t *testing.T) {
	t.Parallel()
	nats, store := outsideNATS(t), openObjectStore(t)
	api := member(t, "api", nats, store)
	api.start(t)
	first, second := member(t, "engine", nats, store), member(t, "engine", nats, store)
	store.away.Store(true)
	first.start(t)
	store.away.Store(false)
	second.start(t)
	ref, served := askWhile(t, api, script, func() {
		until(t, "segments", func() bool { return store.puts() > 10 })
		const lasts = 2 * time.Second // nothing is measured by it
		for _, with := range []*refusal{{http.StatusServiceUnavailable, "SlowDown"}, {http.StatusForbidden, "AccessDenied"}, {http.StatusNotFound, "NoSuchBucket"}} {
			store.refuses.Store(with)
			time.Sleep(lasts)
			store.refuses.Store(nil)
		}
		for _, trouble := range []*atomic.Bool{&store.slow, &store.away} {
			trouble.Store(true)
			time.Sleep(lasts)
			trouble.Store(false)
		}
		first.kill(t)
		first.start(t)
	}, "--windows", "8")
	duckComputes(t, api, ref, served)
	until(t, "small segments have become larger ones", func() bool { return compacted(t, first)+compacted(t, second) > 0 })
	for method, n := range map[string]int{"PUT": 20, "GET": 1} {
		if store.answered[method] < n || store.hurt["PUT"] == 0 {
			t.Errorf("requests answered %v, and not %v", store.answered, store.hurt)
		}
	}
	t.Logf("requests answered %v, and not %v", store.answered, store.hurt)
}

func (o *objectStore) puts() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answered["PUT"]
}

// compacted is how many segments of reports a process has merged.
func compacted(t *testing.T, p *program) (segments float64) {
	t.Helper()
	response, err := http.Get(p.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, hit := range regexp.MustCompile(`(?m)^quadrat_storage_segments_compacted_total\{[^}]*kind="reports"[^}]*\} (\S+)$`).FindAllSubmatch(text, -1) {
		n, err := strconv.ParseFloat(string(hit[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		segments += n
	}
	return segments
}

// An engine whose bucket is refused doesn't start, and says why; with a wrong archive a server starts, and its log says so.
func TestABucketThatRefusesIsFoundAtTheStart(t *testing.T) {
	t.Parallel()
	nats, store := outsideNATS(t), openObjectStore(t)
	for _, c := range []struct {
		bucket, keys string
		says         []string
	}{
		{"s3://no-such-bucket/town", store.keys, []string{"--bucket s3://no-such-bucket/town", "the object store refuses", "NoSuchBucket"}},
		{"s3://" + store.bucket, keyFile(t, "AKIAOTHER", "not-told-to-anybody"), []string{"the object store refuses", "InvalidAccessKeyId"}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience) // if it isn't refused it serves for ever
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(programs, "quadrat"), "serve", "--role", "engine", "--nats", nats, "--data", t.TempDir(),
			"--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--bucket", c.bucket, "--archive-endpoint", store.url, "--archive-key-file", c.keys)
		said, err := cmd.CombinedOutput()
		if err == nil || strings.Contains(string(said), "not-told-to-anybody") {
			t.Errorf("%s: %v\n%s", c.bucket, err, said)
		}
		for _, part := range c.says {
			if !strings.Contains(string(said), part) {
				t.Errorf("%s: it doesn't say %q but\n%s", c.bucket, part, said)
			}
		}
	}
	server := serve(t, "--archive", "s3://no-such-bucket", "--archive-endpoint", store.url, "--archive-key-file", store.keys)
	server.stop(t)
	if log := server.log.String(); !strings.Contains(log, "nothing can be archived") || !strings.Contains(log, "NoSuchBucket") {
		t.Errorf("the log says\n%s", log)
	}
}

// A server whose days pass in seconds copies them into its archive when they are over, and gives up what its disk may not hold. Exports have
// those days all the same, from the bucket, while it is slow, and after the server was killed.
func TestAnArchiveHoldsWhatTheDiskGaveUp(t *testing.T) {
	t.Parallel()
	const speed = "14400" // four hours a second
	store := openObjectStore(t)
	server := serve(t, "--speed", speed, "--retain-bytes", "1", "--archive", "s3://"+store.bucket+"/"+store.folder,
		"--archive-endpoint", store.url, "--archive-key-file", store.keys, "--checkpoint-every", "200ms")
	question := strings.NewReplacer("WINDOW   3s GRACE 2s", "WINDOW   4h GRACE 4h", "PER 15s", "PER 1d").Replace(script)
	ref, served := ask(t, server, question, "--windows", "15", "--speed", speed)
	until(t, "files that the bucket alone has", func() bool { return metric(t, server, "quadrat_storage_archive_only_bytes") > 0 })
	store.slow.Store(true)
	for _, again := range []bool{false, true} {
		if again {
			server.kill(t)
			server.start(t)
		}
		dir := t.TempDir()
		server.run(t, "export", ref, "--what", "results", "--format", "parquet", "--out", dir)
		db := server.reports(t, ref, dir)
		view(t, db, dir, "results")
		compareCounts(t, db, ref, served)
		compareEstimates(t, db, served)
	}
	t.Logf("requests answered %v", store.answered)
}
