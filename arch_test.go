package doppio_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	modulePath = "github.com/doppio-cache/doppio"
	maxLines   = 350 // of a file that is not a test
)

// star says which of our top-level folders a folder may import, besides
// itself: tiered composes the leaves, and no leaf knows another. It holds for
// tests too, so that a leaf can be read, tested and replaced alone. The root's
// own tests and benchmarks may import everything.
var star = map[string][]string{
	"tiered":       {"l1", "l2", "codec", "invalidation", "internal"},
	"l1":           {"internal"},
	"l2":           {"internal"},
	"codec":        {"internal"},
	"invalidation": {"internal"},
	"internal":     {},
}

// whole are the folders below internal whose tests look at all of the cache, from
// outside, and which of our top-level folders each may import for that. Nothing
// imports them.
var whole = map[string][]string{
	"internal/sim":      {"tiered", "invalidation"},
	"internal/failover": {"tiered"},
}

// homes says where a dependency may be imported, by folder or file. A
// dependency that is not listed may be imported by tests only: to give it a
// home is a decision. Tests may import what they like.
var homes = map[string][]string{
	"github.com/dgraph-io/ristretto/v2": {"l1"},
	"github.com/redis/go-redis/v9":      {"l2", "invalidation", "tiered/options.go", "internal/redistest"},
	"github.com/vmihailenco/msgpack/v5": {"codec", "invalidation"},
	"github.com/sony/gobreaker/v2":      {"l2"},
	"github.com/klauspost/compress":     {"codec"},
	"github.com/cespare/xxhash/v2":      {"internal/keyspace", "codec", "l2"}, // no more than a function
	"github.com/alicebob/miniredis/v2":  {"internal/redistest"},
	"go.uber.org/goleak":                {"internal/redistest"},
}

// apart are dependencies that only the folder of a nested module may import, not
// even a test of the library: what a test imports is in the go.mod of all who use
// the library.
var apart = map[string]string{
	"github.com/anishathalye/porcupine": "internal/trials",
}

// shown is what an example may import of ours: it is a program that a user
// could have written, and nothing in it may need more than a user has.
var shown = []string{"examples", "tiered", "codec"}

// forTests are the packages of test code that other packages' tests import:
// they may import "testing", and no file that is not a test may import them.
var forTests = []string{"internal/redistest", "tiered/tieredtest"}

// folders are the top-level folders that there may be. Hidden ones are not
// Go's; bin is where make puts the linter.
var folders = []string{"tiered", "l1", "l2", "codec", "invalidation", "internal", "examples", "benchmarks", "docs", "bin"}

// vague are names that say nothing about what a package is for.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "lib"}

// goFile is what the rules look at.
type goFile struct {
	path   string
	dir    string
	nested bool // in a module below the root's
	test   bool
	lines  int
	syntax *ast.File
}

// imports returns the paths that the file imports.
func (f goFile) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// under reports whether a path is one of the roots or inside one of them.
func under(p string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return p == root || strings.HasPrefix(p, root+"/")
	})
}

func topFolder(p string) string {
	top, _, _ := strings.Cut(p, "/")
	return top
}

// readTree parses all Go files of a tree that the go tool would look at.
func readTree(tree fs.FS) ([]goFile, error) {
	var files []goFile
	var modules []string // nested ones
	err := fs.WalkDir(tree, ".", func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if p != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
				return fs.SkipDir
			}
			if _, err := fs.Stat(tree, path.Join(p, "go.mod")); err == nil && p != "." {
				modules = append(modules, p)
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		source, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), p, source, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, goFile{
			path:   p,
			dir:    path.Dir(p),
			nested: under(p, modules...),
			test:   strings.HasSuffix(name, "_test.go"),
			lines:  bytes.Count(source, []byte("\n")),
			syntax: syntax,
		})
		return nil
	})
	return files, err
}

// architectureProblems returns what breaks the rules of the house in a tree,
// a sentence each that begins with the place.
func architectureProblems(tree fs.FS) ([]string, error) {
	files, err := readTree(tree)
	if err != nil {
		return nil, err
	}
	problems := folderProblems(tree)
	for _, f := range files {
		if !f.test && f.lines > maxLines {
			problems = append(problems, fmt.Sprintf("%s: %d lines, more than %d: split it by noun", f.path, f.lines, maxLines))
		}
		for _, imported := range f.imports() {
			if why := importProblem(f, imported); why != "" {
				problems = append(problems, fmt.Sprintf("%s: imports %s: %s", f.path, imported, why))
			}
		}
	}
	return append(problems, packageProblems(files)...), nil
}

// importProblem says what is wrong with an import, or nothing.
func importProblem(f goFile, imported string) string {
	for dependency, where := range apart {
		if under(imported, dependency) && !(f.nested && under(f.path, where)) {
			return "it is for the module in " + where + " alone"
		}
	}
	ours, isOurs := strings.CutPrefix(imported, modulePath+"/")
	switch {
	case f.nested:
		if isOurs && !f.test && under(f.path, "examples") && !under(ours, shown...) {
			return "an example uses what a user can: " + strings.Join(shown, ", ")
		}
		return ""
	case isOurs:
		return starProblem(f, ours)
	case f.test:
		return ""
	}
	if under(imported, "testing") {
		if under(f.dir, forTests...) {
			return ""
		}
		return "nothing of a test is compiled into a service"
	}
	if !strings.Contains(topFolder(imported), ".") {
		return "" // the standard library
	}
	for dependency, where := range homes {
		if under(imported, dependency) {
			if under(f.path, where...) {
				return ""
			}
			return "its home is " + strings.Join(where, ", ")
		}
	}
	return "it has no home: list it in arch_test.go if it needs one"
}

// starProblem says what is wrong with an import of our own folder.
func starProblem(f goFile, ours string) string {
	if !f.test && under(ours, forTests...) && !under(f.dir, forTests...) {
		return "it is for tests"
	}
	from, to := topFolder(f.path), topFolder(ours)
	for folder, parts := range whole {
		switch {
		case under(ours, folder) && !under(f.dir, folder):
			return "it is a test of the whole"
		case f.test && under(f.dir, folder) && slices.Contains(parts, to):
			return ""
		}
	}
	if f.dir == "." {
		if f.test {
			return ""
		}
		return "the root holds no code"
	}
	if from == to || slices.Contains(star[from], to) {
		return ""
	}
	return fmt.Sprintf("%s may import only %s", from, strings.Join(append([]string{"itself"}, star[from]...), ", "))
}

// folderProblems names the top-level folders that have no place in the layout.
func folderProblems(tree fs.FS) []string {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && !strings.HasPrefix(name, ".") && !slices.Contains(folders, name) {
			problems = append(problems, name+": no such top-level folder in the layout")
		}
	}
	return problems
}

// packageProblems names the packages that say nothing about themselves: every
// one has a doc.go with its package comment, and a name that means something.
func packageProblems(files []goFile) []string {
	documented := map[string]bool{} // by folder
	for _, f := range files {
		if f.nested || f.test {
			continue
		}
		isDoc := path.Base(f.path) == "doc.go" &&
			strings.HasPrefix(f.syntax.Doc.Text(), "Package "+f.syntax.Name.Name+" ")
		documented[f.dir] = documented[f.dir] || isDoc
	}
	var problems []string
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] {
			problems = append(problems, dir+": no doc.go with a comment that begins with Package and its name")
		}
		if slices.Contains(vague, path.Base(dir)) {
			problems = append(problems, dir+": the name does not say what the package is for")
		}
	}
	return problems
}

func TestArchitecture(t *testing.T) {
	problems, err := architectureProblems(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
}
