// Package vectors compares what a mechanism does with a seeded source with the
// bytes that it did when its folder was last reviewed.
//
// It is for the tests of the mechanisms' folders. Run them with -update to
// write the vectors anew; a difference means that devices in the field would
// report otherwise than before.
package vectors

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

var update = flag.Bool("update", false, "write golden files anew")

// seed is that of the source, codes and reports their numbers per line.
const (
	seed    = 20_260_101
	codes   = 12
	reports = 3
)

// Check compares the codes of mechanisms at several ε and inputs with
// testdata/codes.txt: epsilon, number of codes, input, and the codes.
func Check[M privacy.Mechanism](t *testing.T, build func(privacy.Epsilon) (M, error)) {
	t.Helper()
	var out strings.Builder
	for _, micro := range []uint64{1, 100_000, 610_000, 610_001, 1_000_000, 4_000_000, 20_000_000} {
		e, err := privacy.EpsilonOf(micro)
		if err != nil {
			t.Fatal(err)
		}
		m, err := build(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, input := range []uint32{0, m.Levels() / 3, m.Levels()} {
			src := privacy.NewSeeded(seed)
			fmt.Fprintf(&out, "%s %d %d:", e, m.Codes(), input)
			for range codes {
				code, err := m.Randomise(input, src)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&out, " %d", code)
			}
			out.WriteByte('\n')
		}
	}
	File(t, "testdata/codes.txt", out.String())
}

// File compares a text with a file, or writes the file with -update.
func File(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: the bytes differ from the golden ones:\n%s", path, got)
	}
}

// CheckCategories compares the reports of categorical mechanisms at several ε,
// numbers of categories and categories with a file in testdata: epsilon, k,
// category, and the reports in hexadecimal digits.
func CheckCategories[M privacy.Categorical](
	t *testing.T, file string, ks []uint32, build func(privacy.Epsilon, uint32) (M, error),
) {
	t.Helper()
	var out strings.Builder
	for _, micro := range []uint64{1, 500_000, 1_000_000, 4_000_000, 20_000_000} {
		for _, k := range ks {
			m, err := build(privacy.Epsilon(micro), k)
			if err != nil {
				t.Fatal(err)
			}
			for _, category := range []uint32{0, k / 3, k - 1} {
				src := privacy.NewSeeded(seed)
				fmt.Fprintf(&out, "%s %d %d:", m.Epsilon(), k, category)
				for range reports {
					report, err := m.Randomise(category, src, nil)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&out, " %x", report)
				}
				out.WriteByte('\n')
			}
		}
	}
	File(t, "testdata/"+file, out.String())
}

// Read checks that the reports of a file that an older version of a mechanism
// wrote, from the same randomness by other steps, are reports still.
func Read[M privacy.Categorical](t *testing.T, file string, build func(privacy.Epsilon, uint32) (M, error)) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		head, tail, _ := strings.Cut(line, ":")
		var epsilon float64
		var k, category uint32
		if _, err := fmt.Sscan(head, &epsilon, &k, &category); err != nil {
			t.Fatal(err)
		}
		e, err := privacy.NewEpsilon(epsilon)
		if err != nil {
			t.Fatal(err)
		}
		m, err := build(e, k)
		if err != nil {
			t.Fatal(err)
		}
		for digits := range strings.FieldsSeq(tail) {
			report, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Supported(report, nil); err != nil || m.Probability(report, category).Sign() <= 0 {
				t.Errorf("%s of %s: %v, or impossible", digits, head, err)
			}
		}
	}
}
