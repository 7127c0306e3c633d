package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
)

// variable names the bug that a program runs with, by its number; 0, or nothing, is none.
const variable = "QUADRAT_MUTANT"

// chosen is the file that is added to a package, where the number is read.
const chosen = `package %s

import (
	"os"
	"strconv"
)

var plantedBug, _ = strconv.Atoi(os.Getenv("` + variable + `"))
`

// chosenFile is its name. No package has a file of that name.
const chosenFile = "planted_bug.go"

// numbered is a mutant with its number, from 1 on.
type numbered struct {
	mutant
	number int
}

// schema is a source file with several bugs in it, of which a program runs with one or with none: every function that has a bug stands
// there once as it is and once with each bug, and under its own name it calls one of them (mutant schemata: Untch, Offutt, Harrold 1993).
// So many bugs are compiled and linked once.
type schema struct {
	file    string // from the module's root
	pkg     string // the package's name
	content string // as it is
	parsed  *ast.File
	bugs    map[*ast.FuncDecl][]numbered
}

// schemaOf parses a file. It holds no bug yet.
func schemaOf(file, content string) (*schema, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), path.Base(file), content, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &schema{file, parsed.Name.Name, content, parsed, map[*ast.FuncDecl][]numbered{}}, nil
}

// add takes a bug that lies in the body of one function, and says whether it does.
func (s *schema) add(m numbered) bool {
	from := strings.Index(s.content, m.old)
	for _, d := range s.parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || f.Name.Name == "init" || f.Name.Name == "_" {
			continue
		}
		if offset(f.Body.Lbrace) < from && from+len(m.old) <= offset(f.Body.Rbrace) {
			s.bugs[f] = append(s.bugs[f], m)
			return true
		}
	}
	return false
}

// remove takes a bug out again.
func (s *schema) remove(number int) {
	for f := range s.bugs {
		s.bugs[f] = slices.DeleteFunc(s.bugs[f], func(m numbered) bool { return m.number == number })
	}
}

// offset is where a position stands in the one file that its set has.
func offset(p token.Pos) int { return int(p) - 1 }

func (s *schema) text(n ast.Node) string { return s.content[offset(n.Pos()):offset(n.End())] }

// String is the file with all its bugs. What was there stays on its lines. What is added calls its lines those of mutant-<number>.go, so
// that the compiler says which bug is none that compiles.
func (s *schema) String() string {
	var b strings.Builder
	written := 0
	for _, d := range s.parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && len(s.bugs[f]) > 0 {
			b.WriteString(s.content[written:offset(f.Name.Pos())])
			b.WriteString(variant(f, 0))
			written = offset(f.Name.End())
		}
	}
	b.WriteString(s.content[written:])
	for _, d := range s.parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && len(s.bugs[f]) > 0 {
			b.WriteString(s.choice(f))
			for _, m := range s.bugs[f] {
				fmt.Fprintf(&b, "\n//line mutant-%d.go:1\n", m.number)
				name := offset(f.Name.Pos())
				b.WriteString(s.content[offset(f.Pos()):name])
				b.WriteString(variant(f, m.number))
				b.WriteString(strings.Replace(s.content[offset(f.Name.End()):offset(f.End())], m.old, m.new, 1))
			}
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func variant(f *ast.FuncDecl, number int) string {
	return fmt.Sprintf("planted%d_%s", number, f.Name.Name)
}

// choice is the function that stands under the name of another and calls it, or it with a bug.
func (s *schema) choice(f *ast.FuncDecl) string {
	parameters, arguments := s.parameters(f.Type.Params)
	receiver, self := "", ""
	if f.Recv != nil {
		receiver, self = "(self "+s.text(f.Recv.List[0].Type)+") ", "self."
	}
	declared, given := s.typeParameters(f.Type.TypeParams)
	results, give := "", ""
	if f.Type.Results != nil {
		var types []string
		for _, field := range f.Type.Results.List {
			for range max(1, len(field.Names)) {
				types = append(types, s.text(field.Type))
			}
		}
		results, give = " ("+strings.Join(types, ", ")+")", "return "
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nfunc %s%s%s(%s)%s {\n\tswitch plantedBug {\n", receiver, f.Name.Name, declared, parameters, results)
	for _, m := range s.bugs[f] {
		fmt.Fprintf(&b, "\tcase %d:\n\t\t%s%s%s%s(%s)\n", m.number, give, self, variant(f, m.number), given, arguments)
	}
	fmt.Fprintf(&b, "\tdefault:\n\t\t%s%s%s%s(%s)\n\t}\n}\n", give, self, variant(f, 0), given, arguments)
	return b.String()
}

// parameters declares parameters under names of their own, and passes them on.
func (s *schema) parameters(fields *ast.FieldList) (declared, passed string) {
	var with, without []string
	for _, field := range fields.List {
		for range max(1, len(field.Names)) {
			name := fmt.Sprintf("p%d", len(with))
			with = append(with, name+" "+s.text(field.Type))
			if _, ok := field.Type.(*ast.Ellipsis); ok {
				name += "..."
			}
			without = append(without, name)
		}
	}
	return strings.Join(with, ", "), strings.Join(without, ", ")
}

// typeParameters declares the type parameters of a function as it does, and passes them on.
func (s *schema) typeParameters(fields *ast.FieldList) (declared, passed string) {
	if fields == nil {
		return "", ""
	}
	var names []string
	for _, field := range fields.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return s.text(fields), "[" + strings.Join(names, ", ") + "]"
}
