package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

func isCode(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// TestAShareAnswersLikeAFolder gives the same rows to a folder and to a share, compacts both, opens them again, and reads the share
// from another machine.
func TestAShareAnswersLikeAFolder(t *testing.T) {
	folder := open(t, t.TempDir(), Config{FS: newFaultyFS()})
	must(t, folder.Restore(0))
	fill(t, folder, 0, 20)
	want := answers(t, &folder.Rows)

	c, now := newCluster(), later(30)
	s := owner(t, c.line(), "03", 1, Config{Clock: now, RowsPending: 100})
	must(t, s.Restore(0))
	fill(t, s, 0, 20)
	same(t, "committed", &s.Rows, want)
	same(t, "read elsewhere", &reader(t, c.line()).Rows, want)
	before := len(s.Segments())
	s.Permanent(1200)
	settled(t, c, s, now, "after compaction")
	if n := len(s.Segments()); n != 6 || before < 60 {
		t.Errorf("%d segments, %d before", n, before)
	}
	same(t, "compacted", &s.Rows, want)
	again := owner(t, c.line(), "03", 2, Config{Clock: now})
	if again.Position() != 1200 {
		t.Errorf("position %d", again.Position())
	}
	must(t, again.Restore(1200))
	same(t, "opened again", &again.Rows, want)
	same(t, "read elsewhere at the end", &reader(t, c.line()).Rows, want)
}

func same(t *testing.T, when string, rows *Rows, want map[string][]string) {
	t.Helper()
	for what, got := range answers(t, rows) {
		if !reflect.DeepEqual(got, want[what]) {
			t.Errorf("%s: %d rows of %s, want %d", when, len(got), what, len(want[what]))
		}
	}
}

// TestSharesAnswerLikeOneStore parts reports among three shares, and gives results and strata to a fourth, as a cluster does.
func TestSharesAnswerLikeOneStore(t *testing.T) {
	whole := open(t, t.TempDir(), Config{FS: newFaultyFS()})
	must(t, whole.Restore(0))
	fill(t, whole, 0, 12)
	want := answers(t, &whole.Rows)

	c, now := newCluster(), later(30)
	var shares []*Store
	for _, name := range []string{"00", "01", "02", "merged"} {
		s := owner(t, c.line(), name, 7, Config{Clock: now})
		must(t, s.Restore(0))
		shares = append(shares, s)
	}
	r := reader(t, c.line())
	for batch := range 12 {
		parts := make([][]column.Report, 3)
		for _, row := range fillReports(batch) {
			parts[row.Device%3] = append(parts[row.Device%3], row)
		}
		for i, part := range parts {
			rec := recordOf(t, part)
			must(t, shares[i].Reports(rec))
			rec.Release()
		}
		must(t, shares[3].Results(fillResults(batch)))
		must(t, shares[3].Strata("indoor", testRef, fillStrata(batch)))
		for i, s := range shares {
			position := uint64(batch+1) * 60 * uint64(i+1) // each has positions of its own
			must(t, s.Commit(max(position, uint64(batch+1)*60)))
			s.Permanent(position)
		}
	}
	same(t, "before compaction", &r.Rows, want)
	for _, s := range shares {
		must(t, s.Upkeep(context.Background()))
	}
	same(t, "after compaction", &r.Rows, want)
	positions, err := r.Positions(t.Context())
	if err != nil || positions["02"] != 3*720 || len(positions) != 4 {
		t.Errorf("positions %v, %v", positions, err)
	}
}

// TestALateOwnerCommitsNothing lets an owner go on after another took the share: in the middle of a commit, in upkeep, and after a
// replay that made the same rows again.
func TestALateOwnerCommitsNothing(t *testing.T) {
	c, now := newCluster(), later(1)
	first := owner(t, c.line(), "03", 1, Config{Clock: now})
	must(t, first.Restore(0))
	fill(t, first, 0, 8)
	first.Permanent(240)
	rows := recordOf(t, fillReports(8))
	defer rows.Release()
	must(t, first.Reports(rows))
	staged, err := first.stageAll(540)
	must(t, err)
	must(t, first.home.settle(t.Context(), staged)) // and here it stops for a while: the segments are there, no catalog names them

	second := owner(t, c.line(), "03", 2, Config{Clock: now})
	must(t, second.Restore(240)) // the checkpoint that it found
	fill(t, second, 4, 10)
	want := answers(t, &second.Rows)

	for what, do := range map[string]func() error{
		"commit": func() error { return first.Commit(540) }, "restore": func() error { return first.Restore(240) },
		"upkeep": func() error { return first.Upkeep(t.Context()) },
	} {
		if err := do(); !isCode(err, Fenced) {
			t.Errorf("%s of a late owner: %v", what, err)
		}
	}
	select {
	case <-first.Lost():
	default:
		t.Fatal("the late owner isn't told")
	}
	must(t, first.Run(t.Context())) // ends by itself
	if _, err := tryOwner(t, c.line(), "03", 1, Config{}); !isCode(err, Fenced) {
		t.Errorf("an earlier lease opens the share: %v", err)
	}
	second.Permanent(600)
	settled(t, c, second, now, "at the end")
	same(t, "at the end", &reader(t, c.line()).Rows, want)
	seen := map[string]int{}
	for _, row := range want["reports"] {
		seen[row]++
	}
	for row, n := range seen {
		if n != 1 {
			t.Errorf("%d times: %s", n, row)
		}
	}
	if len(seen) != 600 {
		t.Errorf("%d reports, want 600", len(seen))
	}
}

// TestALateOwnerHarmsNothing lets one that doesn't know that it is late do all that needs no swap: upload, and remove what
// its last catalog condemned.
func TestALateOwnerHarmsNothing(t *testing.T) {
	c, now := newCluster(), later(30)
	first := owner(t, c.line(), "03", 1, Config{Clock: now})
	must(t, first.Restore(0))
	fill(t, first, 0, 8)
	first.Permanent(480)
	must(t, first.compactAll(t.Context()))
	second := owner(t, c.line(), "03", 1, Config{Clock: now}) // the same lease, opened anew
	must(t, second.Restore(480))
	fill(t, second, 8, 10)
	want := answers(t, &second.Rows)
	rows := recordOf(t, fillReports(9))
	defer rows.Release()
	must(t, first.Reports(rows))
	staged, err := first.stageAll(600)
	must(t, err)
	must(t, first.home.settle(t.Context(), staged))
	now.Set(now.Now().Add(2 * time.Hour))
	if err := first.removeCondemned(t.Context()); !isCode(err, Fenced) {
		t.Errorf("it removed files, and then: %v", err)
	}
	same(t, "meanwhile", &reader(t, c.line()).Rows, want)
	second.Permanent(600)
	settled(t, c, second, now, "at the end")
	same(t, "at the end", &reader(t, c.line()).Rows, want)
}

// TestWhatWaitsForItsCommitStays uploads segments, keeps their commit from happening for hours of upkeep, and then commits.
func TestWhatWaitsForItsCommitStays(t *testing.T) {
	c, now := newCluster(), later(1)
	l := c.line()
	s := owner(t, l, "03", 1, Config{Clock: now})
	must(t, s.Restore(0))
	fill(t, s, 0, 2)
	rows := recordOf(t, fillReports(2))
	defer rows.Release()
	must(t, s.Reports(rows))
	l.kind, l.at, l.done = unheard, 2, 0 // a segment, the catalog, the head
	if err := s.Commit(180); !errors.Is(err, errInjected) {
		t.Fatalf("a commit whose answer gets lost: %v", err)
	}
	for range 4 {
		now.Set(now.Now().Add(2 * time.Hour))
		must(t, s.Upkeep(t.Context()))
	}
	must(t, s.Commit(180))
	if n := len(collect(t, goldenScanOf(&reader(t, c.line()).Rows, KindReports))); n != 180 {
		t.Errorf("%d rows", n)
	}
	settled(t, c, s, now, "at the end")
}

// TestNamesAreGivenOnce lets three owners commit the same rows at the same positions.
func TestNamesAreGivenOnce(t *testing.T) {
	c := newCluster()
	for epoch := range uint64(3) {
		before := c.under("03")
		s := owner(t, c.line(), "03", epoch, Config{})
		must(t, s.Restore(0))
		fill(t, s, 0, 2)
		if made := len(c.under("03")) - len(before); made < len(s.Segments())+2 { // and a catalog for each commit
			t.Errorf("owner %d made %d objects", epoch, made)
		}
		for _, seg := range s.Segments() {
			if slices.Contains(before, seg.object()) {
				t.Errorf("owner %d called a file %s again", epoch, seg.Name)
			}
		}
	}
}

// shareConfig is one of two lives of a share, the second of which removes the first of two dates.
func shareConfig(n int) Config {
	cfg := Config{RowsPending: 9, Clock: later(2), Late: time.Hour}
	if n%2 == 1 {
		cfg.Retain.ReportsAge = 36 * time.Hour
	}
	return cfg
}

// livedShare is the answers of an undisturbed life and the number of its calls over the network.
func livedShare(t *testing.T, n int) (map[string][]string, int) {
	t.Helper()
	l := newCluster().line()
	s := owner(t, l, "03", 1, shareConfig(n))
	must(t, s.Restore(0))
	must(t, (&life{}).goOn(t, s))
	steps := l.done
	return lifeAnswers(t, &s.Rows), steps
}

// TestTakeoverAtEveryStep lets an owner die at each of its calls over the network, every other time of those that happen, and another go on from the engine's checkpoint; it
// expects the answers of an undisturbed life, and that nothing is left over.
func TestTakeoverAtEveryStep(t *testing.T) {
	t.Parallel()
	for n := range 2 {
		want, steps := livedShare(t, n)
		for at := n; at < steps; at += 2 * stride() {
			kind := []miss{dying, parting}[(at/2+n)%2]
			when := fmt.Sprintf("life %d, call %d of %d, kind %d", n, at, steps, kind)
			c, l, cfg := newCluster(), &life{}, shareConfig(n)
			dead := c.line()
			dead.kind, dead.at = kind, at
			if s, err := tryOwner(t, dead, "03", 1, cfg); err == nil && s.Restore(0) == nil {
				_ = l.goOn(t, s)
			}
			if !dead.dead {
				t.Fatalf("%s: it lives", when)
			}
			s := owner(t, c.line(), "03", 2, cfg)
			must(t, s.Restore(l.checkpoint))
			must(t, l.goOn(t, s))
			must(t, s.Upkeep(context.Background()))
			if got := lifeAnswers(t, &reader(t, c.line()).Rows); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: the answers differ", when)
			}
			cfg.Retain = Retention{}
			s.cfg.Retain = Retention{}
			settled(t, c, s, cfg.Clock.(*clock.Manual), when)
		}
	}
}

// TestFaultsOfTheNetworkLoseNothing fails one call at a time, tries again, and expects every row once, before and after another owner.
func TestFaultsOfTheNetworkLoseNothing(t *testing.T) {
	t.Parallel()
	want, steps := livedShare(t, 0)
	for at := 0; at < steps; at += 3 * stride() {
		for _, kind := range []miss{refused, unheard} {
			when := fmt.Sprintf("call %d of %d, kind %d", at, steps, kind)
			c, l := newCluster(), &life{retry: true}
			broken := c.line()
			broken.kind, broken.at = kind, at
			var s *Store
			must(t, l.try(func() (err error) { s, err = tryOwner(t, broken, "03", 1, shareConfig(0)); return err }))
			must(t, l.try(func() error { return s.Restore(0) }))
			if err := l.goOn(t, s); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			must(t, l.try(func() error { return s.Upkeep(context.Background()) }))
			if got := lifeAnswers(t, &s.Rows); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: the answers differ", when)
			}
			again := owner(t, c.line(), "03", 1, shareConfig(0))
			must(t, again.Restore(l.checkpoint))
			if got := lifeAnswers(t, &again.Rows); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, another owner: the answers differ", when)
			}
		}
	}
}

// TestADiskThatIsFull fails operations on the files that wait for their upload.
func TestADiskThatIsFull(t *testing.T) {
	t.Parallel()
	want, _ := livedShare(t, 0)
	for _, kind := range []fault{shortWrite, noSpace} {
		for at := 1; at < 400; at += 23 * stride() {
			f := newFaultyFS()
			cfg, l := shareConfig(0), &life{retry: true}
			cfg.FS = f
			c := newCluster()
			s := owner(t, c.line(), "03", 1, cfg)
			must(t, s.Restore(0))
			f.kind, f.at, f.done = kind, at, 0
			if err := l.goOn(t, s); err != nil {
				t.Fatalf("fault %d at %d: %v", kind, at, err)
			}
			if got := lifeAnswers(t, &reader(t, c.line()).Rows); !reflect.DeepEqual(got, want) {
				t.Fatalf("fault %d at %d: the answers differ", kind, at)
			}
		}
	}
}

func TestAShareSaysWhatIsWrong(t *testing.T) {
	c := newCluster()
	good := Share{Name: "03", Heads: c.line(), Bucket: c.line(), Cache: cacheOf(t)}
	for what, change := range map[string]func(*Share, *Config){
		"no name":    func(s *Share, _ *Config) { s.Name = "" },
		"a slash":    func(s *Share, _ *Config) { s.Name = "a/b" },
		"no heads":   func(s *Share, _ *Config) { s.Heads = nil },
		"no cache":   func(s *Share, _ *Config) { s.Cache = nil },
		"an archive": func(_ *Share, cfg *Config) { cfg.Archive = c.line() },
		"a delay":    func(s *Share, _ *Config) { s.Delay = -1 },
		"an age":     func(_ *Share, cfg *Config) { cfg.Retain.ReportsAge = -1 },
	} {
		share, cfg := good, Config{}
		change(&share, &cfg)
		if _, err := OpenShare(t.Context(), t.TempDir(), share, cfg); !isCode(err, Malformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := OpenShare(t.Context(), ".", good, Config{}); !isCode(err, Occupied) {
		t.Errorf("a folder with something else: %v", err)
	}
	s := owner(t, c.line(), "03", 1, Config{})
	must(t, s.Close())
	must(t, s.Close())
	must(t, s.Restore(0))
	if err := s.Commit(1); !errors.Is(err, context.Canceled) {
		t.Logf("%v", err)
	}
}

// TestDamagedObjectsOfAShare damages what the bucket has.
func TestDamagedObjectsOfAShare(t *testing.T) {
	c := newCluster()
	s := owner(t, c.line(), "03", 1, Config{})
	must(t, s.Restore(0))
	fill(t, s, 0, 3)
	for name := range c.objects {
		good := c.objects[name]
		bad := append([]byte{}, good...)
		bad[len(bad)/2] ^= 1
		c.objects[name] = bad
		r := reader(t, c.line())
		failed := false
		for _, k := range []Kind{KindReports, KindResults, KindStrata} {
			for _, err := range goldenScanOf(&r.Rows, k) {
				failed = failed || isCode(err, Damaged)
			}
		}
		if current := s.share.head.Catalog; !failed && (!strings.Contains(name, catalogFolder) || strings.HasSuffix(name, current)) {
			t.Errorf("a bit of %s was flipped, and nobody saw it", name)
		}
		c.objects[name] = good
	}
}

func FuzzHead(f *testing.F) {
	good := head{Epoch: 4, Term: 2, Position: 9, Catalog: "catalog/catalog-t2-1.jsonl.zst", Bytes: 7, Digest: strings.Repeat("0f", 32)}
	b, err := good.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHead(b)
		if err == nil && h.Catalog != "" && !lawfulObject(h.Catalog) {
			t.Errorf("%q", h.Catalog)
		}
		if c, err := unpackCatalog(b, "03"); err == nil && c == nil {
			t.Error("nothing")
		}
	})
}

// TestGoldenHead reads a head that version 1 wrote.
func TestGoldenHead(t *testing.T) {
	want := head{Version: 1, Epoch: 4, Term: 2, Position: 9, Catalog: "catalog/catalog-t2-1.jsonl.zst", Bytes: 7, Digest: strings.Repeat("0f", 32)}
	text := `{"version":1,"epoch":4,"term":2,"position":9,"catalog":"catalog/catalog-t2-1.jsonl.zst","bytes":7,"digest":"` + want.Digest + `"}`
	got, err := decodeHead([]byte(text))
	if err != nil || *got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if b, err := want.encode(); err != nil || string(b) != text {
		t.Errorf("%s, %v", b, err)
	}
}

// fillReports, fillResults and fillStrata are what fill commits in a batch.
func fillReports(batch int) []column.Report {
	rows := makeReports(rand.New(rand.NewPCG(3, uint64(batch))), uint64(batch*60+1), 60)
	for i := range rows {
		rows[i].StratumPopulation = 40 // of a window's stratum there is one
	}
	return rows
}

func fillResults(batch int) []*quadratv1.Result {
	return []*quadratv1.Result{makeResult(batch, 1, float64(batch)), makeResult(batch/2, uint32(2+batch%2), 0.5)}
}

func fillStrata(batch int) (strata []column.Stratum) {
	for _, name := range []string{"region1", "region0"} {
		start := baseMs + int64(batch)*60_000
		strata = append(strata, column.Stratum{
			WindowStartMs: start, WindowEndMs: start + 60_000, Statistic: "mean(temperature)", Stratum: name, Population: 40, Panel: 9,
		})
	}
	return strata
}
