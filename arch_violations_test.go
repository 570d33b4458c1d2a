package doppio_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// soundTree is a small tree that keeps all the rules, the exceptions included.
func soundTree() fstest.MapFS {
	tree := fstest.MapFS{}
	for name, text := range map[string]string{
		"go.mod":                          "module " + modulePath,
		"doc.go":                          "// Package doppio is.\npackage doppio",
		"bench_test.go":                   source("doppio_test", "testing", modulePath+"/tiered", modulePath+"/l1", "github.com/redis/go-redis/v9"),
		".github/workflows/x.go":          source("x", "log"),
		"docs/guide.md":                   "",
		"tiered/doc.go":                   "// Package tiered is.\npackage tiered",
		"tiered/node.go":                  source("tiered", "context", modulePath+"/l1", modulePath+"/internal/fence"),
		"tiered/options.go":               source("tiered", "github.com/redis/go-redis/v9"),
		"tiered/node_test.go":             source("tiered", "testing", modulePath+"/internal/redistest", "github.com/redis/go-redis/v9"),
		"tiered/tieredtest/doc.go":        "// Package tieredtest is.\npackage tieredtest",
		"tiered/tieredtest/suite.go":      source("tieredtest", "testing", modulePath+"/tiered"),
		"l1/doc.go":                       "// Package l1 is.\npackage l1",
		"l1/cache.go":                     source("l1", "sync", modulePath+"/internal/fence", "github.com/dgraph-io/ristretto/v2/z"),
		"l1/testdata/bad.go":              "this is not Go",
		"internal/fence/doc.go":           "// Package fence is.\npackage fence",
		"internal/redistest/doc.go":       "// Package redistest is.\npackage redistest",
		"internal/redistest/server.go":    source("redistest", "testing", "github.com/alicebob/miniredis/v2"),
		"internal/sim/doc.go":             "// Package sim is.\npackage sim",
		"internal/sim/world_test.go":      source("sim", "testing", modulePath+"/tiered", modulePath+"/internal/redistest"),
		"internal/failover/doc.go":        "// Package failover is.\npackage failover",
		"internal/failover/fleet_test.go": source("failover_test", modulePath+"/tiered", modulePath+"/internal/redistest"),
		"internal/trials/go.mod":          "module " + modulePath + "/internal/trials",
		"internal/trials/model_test.go":   source("trials", modulePath+"/tiered", "github.com/anishathalye/porcupine"),
		"examples/go.mod":                 "module " + modulePath + "/examples",
		"examples/orderflow/main.go":      source("main", modulePath+"/tiered", "github.com/redis/go-redis/v9"),
		"examples/orderflow/huge_test.go": source("main") + strings.Repeat("\n", maxLines),
	} {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

// source returns a Go file that imports paths.
func source(pkg string, imports ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n", pkg)
	for _, p := range imports {
		fmt.Fprintf(&b, "import _ %q\n", p)
	}
	return b.String()
}

func TestArchitectureAcceptsASoundTree(t *testing.T) {
	problems, err := architectureProblems(soundTree())
	if err != nil || len(problems) > 0 {
		t.Fatalf("problems = %q, err = %v; want none", problems, err)
	}
}

// Each case adds one file to the sound tree (or replaces or removes one), and
// exactly one problem must be found, at its place.
func TestArchitectureFindsEachViolation(t *testing.T) {
	const remove = ""
	cases := []struct {
		name, file, text, want string
	}{
		{"a leaf imports a sibling", "l1/size.go", source("l1", modulePath+"/codec"), "l1/size.go: imports"},
		{"a leaf's test imports a sibling", "l1/size_test.go", source("l1", modulePath+"/codec"), "l1/size_test.go: imports"},
		{"a leaf imports the composition", "l1/size.go", source("l1", modulePath+"/tiered"), "l1 may import only itself, internal"},
		{"an internal package imports a leaf", "internal/fence/a.go", source("fence", modulePath+"/l1"), "internal may import only"},
		{"a test of the whole imports a leaf", "internal/failover/a_test.go", source("failover_test", modulePath+"/l1"), "internal may import only"},
		{"a test of the whole in a package", "internal/failover/a.go", source("failover", modulePath+"/tiered"), "internal may import only"},
		{"a test of the whole is imported", "tiered/node_test.go", source("tiered", modulePath+"/internal/failover"), "it is a test of the whole"},
		{"the root imports anything", "doc.go", "// Package doppio is.\npackage doppio\nimport _ \"" + modulePath + "/tiered\"", "the root holds no code"},
		{"a simulation imports past the API", "internal/sim/a_test.go", source("sim", modulePath+"/l1"), "internal may import only"},
		{"a test imports a simulation", "tiered/a_test.go", source("tiered", modulePath+"/internal/sim"), "it is a test of the whole"},
		{"a test server in a service", "tiered/region.go", source("tiered", modulePath+"/internal/redistest"), "it is for tests"},
		{"a conformance suite in a service", "tiered/region.go", source("tiered", modulePath+"/tiered/tieredtest"), "it is for tests"},
		{"testing in a service", "l1/size.go", source("l1", "testing/synctest"), "nothing of a test"},
		{"Ristretto outside l1", "tiered/region.go", source("tiered", "github.com/dgraph-io/ristretto/v2"), "its home is l1"},
		{"go-redis in another file of tiered", "tiered/region.go", source("tiered", "github.com/redis/go-redis/v9"), "tiered/region.go: imports"},
		{"msgpack outside codec", "l1/size.go", source("l1", "github.com/vmihailenco/msgpack/v5"), "its home is codec, invalidation"},
		{"singleflight, which has lost its home", "tiered/region.go", source("tiered", "golang.org/x/sync/singleflight"), "it has no home"},
		{"a dependency without a home", "l1/size.go", source("l1", "golang.org/x/sync/errgroup"), "it has no home"},
		{"an example uses internals", "examples/orderflow/fleet.go", source("main", modulePath+"/internal/redistest"), "an example uses what a user can"},
		{"a checker in the library's tests", "tiered/node_test.go", source("tiered", "github.com/anishathalye/porcupine"), "it is for the module in internal/trials alone"},
		{"a checker in another module", "examples/orderflow/main.go", source("main", "github.com/anishathalye/porcupine"), "it is for the module in internal/trials alone"},
		{"a folder outside the layout", "pkg/doc.go", "// Package pkg is.\npackage pkg", "pkg: no such top-level folder"},
		{"a long file", "l1/size.go", source("l1") + strings.Repeat("\n", maxLines), "l1/size.go: 351 lines"},
		{"a long file of a nested module", "examples/orderflow/main.go", source("main") + strings.Repeat("\n", maxLines), "orderflow/main.go: 351 lines"},
		{"a package without doc.go", "l1/doc.go", remove, "l1: no doc.go"},
		{"a doc.go without a comment", "l1/doc.go", "package l1", "l1: no doc.go"},
		{"the root without doc.go", "doc.go", "package doppio", ".: no doc.go"},
		{"a package named for nothing", "internal/util/doc.go", "// Package util is.\npackage util", "internal/util: the name"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tree := soundTree()
			tree[c.file] = &fstest.MapFile{Data: []byte(c.text)}
			if c.text == remove {
				delete(tree, c.file)
			}
			problems, err := architectureProblems(tree)
			if err != nil {
				t.Fatal(err)
			}
			if len(problems) != 1 || !strings.Contains(problems[0], c.want) {
				t.Errorf("problems = %q, want one with %q", problems, c.want)
			}
		})
	}
}

func TestArchitectureReportsWhatItCannotRead(t *testing.T) {
	tree := soundTree()
	tree["l1/size.go"] = &fstest.MapFile{Data: []byte("this is not Go")}
	if _, err := architectureProblems(tree); err == nil {
		t.Error("a file that does not parse was passed over in silence")
	}
}
