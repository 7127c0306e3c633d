package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// forbidden is text that would tie the project to one machine, or hide a test.
var forbidden = map[string]*regexp.Regexp{
	"a path outside the project": regexp.MustCompile(`\.\./shar` + `ed|/ro` + `ot/|/ho` + `me/[a-z]+/|/wo` + `rk/`),
	"a registry's host":          regexp.MustCompile(`proxy\.gol` + `ang\.org|registry\.npm` + `js\.org|deb\.deb` + `ian\.org`),
}

var skip = regexp.MustCompile(`\bt\.Ski` + `p(f|Now)?\(`)

// skipsAllowed lists tests that may be skipped, each with its reason. It is empty: keep it so.
var skipsAllowed = map[string]string{}

func TestNoForbiddenText(t *testing.T) {
	walk(t, func(path string, content []byte) {
		for what, re := range forbidden {
			if hit := re.Find(content); hit != nil {
				t.Errorf("%s: %s: %q", path, what, hit)
			}
		}
		if strings.HasSuffix(path, "_test.go") && skip.Match(content) && skipsAllowed[path] == "" {
			t.Errorf("%s: a test is skipped without a listed reason", path)
		}
	})
}

// Every package says what it is for, and every exported name states its law.
func TestEverythingExportedIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	walk(t, func(path string, content []byte) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || generated(content) {
			return
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, content, parser.ParseComments)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || file.Doc != nil
		if file.Name.Name != "main" {
			undocumented(set, file, func(name string) { t.Errorf("%s: %s has no comment", path, name) })
		}
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: the package has no comment", dir)
		}
	}
}

func generated(content []byte) bool {
	head := content[:min(len(content), 400)]
	return strings.Contains(string(head), "DO NOT EDIT")
}

func undocumented(_ *token.FileSet, file *ast.File, report func(string)) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedReceiver(d)) {
				report(d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
					report(s.Name.Name)
				}
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// walk visits every text file of the project, with its path from the project's root.
func walk(t *testing.T, visit func(path string, content []byte)) {
	t.Helper()
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == ".git" || name == "node_modules" || name == "bin" || name == "third_party" {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".md", ".proto", ".yaml", ".yml", ".txtar", ".html", ".json", ".sh", ".sql", ".csv", "":
		default:
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		seen++
		visit(rel, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("only %d files were read", seen)
	}
}
