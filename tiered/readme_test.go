package tiered_test

import (
	"os"
	"strings"
	"testing"
)

// The start in the README is the body of serve in example_test.go, with these
// differences, so that what users copy is compiled and run.
func TestREADMEShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```go\n")
	shown, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("README.md has no Go code")
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, ok := strings.Cut(string(source), "func serve(ctx context.Context, address string, db database) error {\n")
	if !ok {
		t.Fatal("example_test.go has no serve")
	}
	body = strings.TrimSuffix(body, "}\n")
	var lines []string
	for line := range strings.Lines(body) {
		lines = append(lines, strings.TrimPrefix(line, "\t"))
	}
	body = strings.Join(lines, "")
	body = strings.Replace(body, "Addr: address", `Addr: "localhost:6379"`, 1)
	body = strings.Replace(body, "if err != nil {\n\treturn err\n}\nfmt.Println(p.Name)\n", "// …\n", 1)
	body = strings.TrimSuffix(body, "return err\n")
	if body != shown {
		t.Errorf("README.md shows\n%s\nexample_test.go has\n%s", shown, body)
	}
}
