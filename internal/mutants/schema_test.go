package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// source has a function of each form that Go knows.
const source = `package main

import (
	"fmt"
	"os"
)

const outside = 1

func Plain(a, _ int, _ ...string) int { return a + 1 }

func two(a int) (sum, difference int) {
	sum, difference = a+2, a-2
	return
}

func silent(out *[]int) { *out = append(*out, 3) }

func variadic(first string, more ...int) string { return fmt.Sprint(first, more, 4) }

func generic[K comparable, V any](m map[K]V, k K) (V, bool) { v, ok := m[k]; return v, !ok }

type box[T any] struct{ held T }

func (b *box[T]) put(x T) { b.held = x }

func (box[_]) name() string { return "box" }

func factorial(n int) int {
	if n <= 1 {
		return 1
	}
	return n * factorial(n-1)
}

func main() {
	var out []int
	silent(&out)
	sum, difference := two(1)
	_, missing := generic(map[string]int{"a": 1}, "a")
	b := &box[int]{}
	b.put(5)
	fmt.Fprintln(os.Stdout, Plain(1, 2), sum, difference, out, variadic("x", 1, 2), missing, b.held, b.name(), factorial(4), outside)
}
`

// bugsOfSource are planted in it, with what the program then says.
var bugsOfSource = []struct{ old, new, says string }{
	{"", "", "2 3 -1 [3] x[1 2] 4 false 5 box 24 1"},
	{"a + 1", "a + 10", "11 3 -1 [3] x[1 2] 4 false 5 box 24 1"},
	{"a-2", "a-20", "2 3 -19 [3] x[1 2] 4 false 5 box 24 1"},
	{"a+2, a-2", "a-2, a+2", "2 -1 3 [3] x[1 2] 4 false 5 box 24 1"},
	{"*out, 3", "*out, 30", "2 3 -1 [30] x[1 2] 4 false 5 box 24 1"},
	{"more, 4", "more[1:], 4", "2 3 -1 [3] x[2] 4 false 5 box 24 1"},
	{"!ok", "ok", "2 3 -1 [3] x[1 2] 4 true 5 box 24 1"},
	{"b.held = x", "_ = x", "2 3 -1 [3] x[1 2] 4 false 0 box 24 1"},
	{`return "box"`, `return "bag"`, "2 3 -1 [3] x[1 2] 4 false 5 bag 24 1"},
	{"n * factorial", "2 * factorial", "2 3 -1 [3] x[1 2] 4 false 5 box 8 1"},
	{"b.put(5)", "b.put(6)", "2 3 -1 [3] x[1 2] 4 false 6 box 24 1"},
}

// TestSchemaHasEachBug builds one program with bugs in functions of each form, and runs it with each of them and with none.
func TestSchemaHasEachBug(t *testing.T) {
	l := laboratoryOf(t.TempDir(), t.TempDir())
	write(t, filepath.Join(l.root, "go.mod"), "module example.org/program\n\ngo 1.24\n")
	write(t, filepath.Join(l.root, "main.go"), source)
	s, err := schemaOf("main.go", source)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bugsOfSource[1:] {
		if !s.add(numbered{mutant{old: b.old, new: b.new}, i + 1}) {
			t.Errorf("%s lies in a function", b.old)
		}
	}
	if s.add(numbered{mutant{old: "outside = 1", new: "outside = 2"}, 99}) {
		t.Error("a constant lies in no function")
	}
	overlay, err := l.overlay("all", map[string]string{"main.go": s.String(), chosenFile: fmt.Sprintf(chosen, s.pkg)})
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(l.dir, "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay="+overlay, "-o", program, ".")
	build.Dir = l.root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, s)
	}
	for number, b := range bugsOfSource {
		if said := says(t.Context(), t, program, number); said != b.says {
			t.Errorf("with %q: %q, want %q", b.new, said, b.says)
		}
	}
}

func says(ctx context.Context, t *testing.T, program string, number int) string {
	t.Helper()
	run := exec.CommandContext(ctx, program)
	run.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, number))
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%d: %v\n%s", number, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBuildLeavesOutWhatDoesNotCompile: a bug that is none that compiles has its verdict, and the others are built and chosen.
func TestBuildLeavesOutWhatDoesNotCompile(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.org/program\n\ngo 1.24\n")
	if err := os.Mkdir(filepath.Join(root, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "x", "x.go"), "package x\n\nconst two = 2\n\nfunc one() int { return 1 }\n")
	write(t, filepath.Join(root, "x", "x_test.go"), "package x\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {\n\tif one() != 1 || two != 2 {\n\t\tt.Error(\"wrong\")\n\t}\n}\n")
	l := laboratoryOf(root, t.TempDir())
	bug := func(number int, old, changed string) numbered {
		return numbered{mutant{old: old, new: changed, file: "x/x.go", pkg: "x", test: "TestOne"}, number}
	}
	mutants := []numbered{
		bug(1, "return 1", "return 2"), bug(2, "return 1", "return one"), bug(3, "return 1", "return 2 - 1"), bug(4, "two = 2", "two = 3"), bug(5, "two = 2", "two = true"), bug(6, "three", "four"),
	}
	if err := l.build(t.Context(), mutants); err != nil {
		t.Fatal(err)
	}
	if err := l.healthy(t.Context(), mutants, 1); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "doesn't compile", "passes", "", "doesn't compile", "the list is stale"} {
		got := l.plant(t.Context(), mutants[i])
		if want == "" && got.why != "" || !strings.Contains(got.why, want) {
			t.Errorf("mutant %d: %q, want %q", i+1, got.why, want)
		}
	}
}
