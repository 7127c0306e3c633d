package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// open makes a laboratory of the module that the working directory lies in. It must be closed.
func open(ctx context.Context) (*laboratory, error) {
	mod, err := goEnv(ctx, "GOMOD")
	if err != nil {
		return nil, err
	}
	parent, err := goEnv(ctx, "GOTMPDIR")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "quadrat-mutants-")
	if err != nil {
		return nil, err
	}
	return laboratoryOf(filepath.Dir(mod), dir), nil
}

func laboratoryOf(root, dir string) *laboratory {
	return &laboratory{root: root, dir: dir, programs: map[string]string{}, alone: map[int]bool{}, verdicts: map[int]verdict{}}
}

func (l *laboratory) close() { _ = os.RemoveAll(l.dir) }

// build makes the programs: the tests of each package that kills a mutant, with the bugs of all mutants that schemata can be made of. A
// mutant that doesn't compile is left out, and that is its verdict.
func (l *laboratory) build(ctx context.Context, mutants []numbered) error {
	schemata := map[string]*schema{}
	for _, m := range mutants {
		l.programs[m.pkg] = filepath.Join(l.dir, strings.ReplaceAll(m.pkg, "/", "-")+".test")
		content, err := original(l.root, m.mutant)
		if err != nil {
			l.verdicts[m.number] = verdict{why: err.Error()}
			continue
		}
		if schemata[m.file] == nil {
			s, err := schemaOf(m.file, content)
			if err != nil {
				return err
			}
			schemata[m.file] = s
		}
		if !schemata[m.file].add(m) {
			l.alone[m.number] = true
		}
	}
	for {
		output, err := l.buildAll(ctx, schemata)
		if err == nil {
			return nil
		}
		guilty := bugsIn(output)
		if len(guilty) == 0 {
			return fmt.Errorf("build the tests: %w\n%s", err, output)
		}
		for _, number := range guilty {
			l.verdicts[number] = verdict{why: "doesn't compile:\n" + output}
			for _, s := range schemata {
				s.remove(number)
			}
		}
	}
}

var bugLine = regexp.MustCompile(`mutant-(\d+)\.go:\d+`)

// bugsIn returns the numbers of the bugs that the compiler speaks of.
func bugsIn(output string) (numbers []int) {
	for _, found := range bugLine.FindAllStringSubmatch(output, -1) {
		if n, err := strconv.Atoi(found[1]); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// buildAll makes the programs with the schemata as they are.
func (l *laboratory) buildAll(ctx context.Context, schemata map[string]*schema) (string, error) {
	files := map[string]string{}
	for file, s := range schemata {
		files[file] = s.String()
		files[path.Join(path.Dir(file), chosenFile)] = fmt.Sprintf(chosen, s.pkg)
	}
	overlay, err := l.overlay("all", files)
	if err != nil {
		return "", err
	}
	// The go command names a program by the last part of its package. Packages that agree in it are built one after the other.
	waiting := map[string][]string{}
	for pkg := range l.programs {
		waiting[path.Base(pkg)] = append(waiting[path.Base(pkg)], pkg)
	}
	into := filepath.Join(l.dir, "built")
	for len(waiting) > 0 {
		var now []string
		for name, pkgs := range waiting {
			now = append(now, pkgs[0])
			if waiting[name] = pkgs[1:]; len(pkgs) == 1 {
				delete(waiting, name)
			}
		}
		if output, err := l.compile(ctx, overlay, into+string(filepath.Separator), now...); err != nil {
			return output, err
		}
		for _, pkg := range now {
			if err := os.Rename(filepath.Join(into, path.Base(pkg)+".test"), l.programs[pkg]); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// buildAlone makes a program with one bug.
func (l *laboratory) buildAlone(ctx context.Context, m numbered) (string, error) {
	content, err := mutate(l.root, m.mutant)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%03d", m.number)
	overlay, err := l.overlay(name, map[string]string{m.file: content})
	if err != nil {
		return "", err
	}
	program := filepath.Join(l.dir, name+".test")
	if output, err := l.compile(ctx, overlay, program, m.pkg); err != nil {
		return "", errors.New("doesn't compile:\n" + output)
	}
	return program, nil
}

// overlay writes files, and the JSON that puts them in the place of those of the tree.
func (l *laboratory) overlay(name string, files map[string]string) (string, error) {
	replace := map[string]string{}
	for file, content := range files {
		written := filepath.Join(l.dir, name, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(written), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(written, []byte(content), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(l.root, filepath.FromSlash(file))] = written
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(l.dir, name+".json")
	return list, os.WriteFile(list, b, 0o600)
}

// compile makes the tests of packages into programs without what a debugger needs.
func (l *laboratory) compile(ctx context.Context, overlay, to string, pkgs ...string) (string, error) {
	args := []string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay=" + overlay, "-o", to}
	for _, pkg := range pkgs {
		args = append(args, "./"+pkg)
	}
	out, _, err := l.run(ctx, l.root, nil, "go", args...)
	return out, err
}
