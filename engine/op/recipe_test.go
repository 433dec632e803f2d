package op_test

import (
	"encoding/json"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var recipeBlock = regexp.MustCompile("(?s)```go\n// (file|line of): (\\S+)\n(.*?)```")

// docs/adding-an-op.md, typed in as it stands, gives an operation that builds and passes the suite: its files and its line
// of the table are laid over the sources, which stay as they are.
func TestRecipe(t *testing.T) {
	if os.Getenv("ATTUNE_RECIPE") != "" || testing.Short() {
		t.Skip("the recipe's own run, or -short")
	}
	doc, err := os.ReadFile("../../docs/adding-an-op.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	lines := 0
	for i, m := range recipeBlock.FindAllStringSubmatch(string(doc), -1) {
		path, text := filepath.Join(root, filepath.FromSlash(m[2])), m[3]
		if m[1] == "line of" {
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			const mark = "return []Entry{\n"
			if !strings.Contains(string(old), mark) {
				t.Fatalf("%s has no table", path)
			}
			text = strings.Replace(string(old), mark, mark+text, 1)
			lines++
		} else if tidy, err := format.Source([]byte(text)); err != nil || string(tidy) != text {
			t.Errorf("%s in the page is not formatted as gofmt does: %v", m[2], err)
		}
		name := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = name
	}
	if len(overlay.Replace) != 4 || lines != 1 {
		t.Fatalf("the page has %d files and %d lines of a table, want 3 and 1", len(overlay.Replace)-lines, lines)
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	goRun := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "ATTUNE_RECIPE=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	goRun("vet", "-overlay", file, "./kernels", "./engine/op", "./engine/nn")
	out := goRun("test", "-overlay", file, "-v", "-run", "TestOperations/relu_squared$", "./engine/op")
	if want := "--- PASS: TestOperations/relu_squared/127"; !strings.Contains(out, want) {
		t.Errorf("the run does not say %q:\n%s", want, out)
	}
}
