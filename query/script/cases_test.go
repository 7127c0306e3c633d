package script_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/quadrat-dev/quadrat/query/script"
)

var update = flag.Bool("update", false, "write what the code does into testdata, to be read before it is committed")

// TestCases runs testdata/*.txtar. A case is two files of an archive: NAME.sql, and NAME.want with what the script
// prints as (good.txtar) or "line:column: message" and "hint: …" (bad.txtar, unsupported.txtar).
func TestCases(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) < 3 {
		t.Fatalf("cases: %v %v", paths, err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out []txtar.File
		for i := 0; i < len(archive.Files); i++ {
			in := archive.Files[i]
			name, ok := strings.CutSuffix(in.Name, ".sql")
			if !ok {
				t.Fatalf("%s: %s is no .sql file", path, in.Name)
			}
			got := run(string(in.Data), strings.HasPrefix(filepath.Base(path), "good"))
			out = append(out, in, txtar.File{Name: name + ".want", Data: []byte(got)})
			if i+1 == len(archive.Files) || archive.Files[i+1].Name != name+".want" {
				if !*update {
					t.Errorf("%s: %s has no .want behind it", path, in.Name)
				}
				continue
			}
			i++
			if want := string(archive.Files[i].Data); got != want && !*update {
				t.Errorf("%s: %s\n%s\ngot:\n%s\nwant:\n%s", path, name, in.Data, got, want)
			}
		}
		if *update {
			archive.Files = out
			if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func run(text string, good bool) string {
	s, err := script.Parse(text)
	if err == nil && good {
		if err = script.Check(s); err == nil {
			return s.String()
		}
	}
	if err == nil {
		_, err = script.Prepare(text, nil)
	}
	hint := func(text string) string {
		if text == "" {
			return ""
		}
		return "hint: " + text + "\n"
	}
	var e *script.Error
	var u *script.UnsupportedError
	switch {
	case errors.As(err, &e):
		return fmt.Sprintf("%d:%d: %s\n%s", e.Line, e.Column, e.Message, hint(e.Hint))
	case errors.As(err, &u):
		return fmt.Sprintf("%d:%d: %s can't be run yet\n%s", u.Line, u.Column, u.Feature, hint(u.Hint))
	case err != nil:
		return "an error of another type: " + err.Error()
	}
	return "no error\n" + s.String()
}
