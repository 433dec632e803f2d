package op_test

import (
	"encoding/json"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var recipeBlock = regexp.MustCompile("(?s)```(?:go|markdown|cuda)\n(?:// |<!-- )(file|lines? of): (\\S+)(?: -->)?\n(.*?)```")

// Lines of a table go behind its head.
var tableHeads = map[string]string{
	"engine/op/table.go":                "return []Entry{\n",
	"docs/ARCHITECTURE.md":              "| Name | attributes | in | out |\n| --- | --- | --- | --- |\n",
	"kernels/internal/shapes/shapes.go": "switch k := k.(type) {\n",
	"kernels/cuda/table.go":             "in, out []View){\n",
}

// docs/adding-an-op.md, typed in as it stands, gives an operation that builds, passes the suite by its references and on a
// backend, and leaves docs/ARCHITECTURE.md true: its files and its lines of the tables are laid over the sources, which
// stay as they are.
func TestRecipe(t *testing.T) {
	if os.Getenv("ATTUNE_TEST_RECIPE") != "" || testing.Short() {
		t.Skip("the recipe's own run, or -short")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	typed := recipe(t, root)
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, text := range typed {
		if filepath.Ext(name) == ".go" {
			overlay.Replace[filepath.Join(root, name)] = write(t, dir, strings.ReplaceAll(name, "/", "_"), text)
		}
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, dir, "overlay.json", string(raw))
	goRun(t, root, "", "vet", "-overlay", file, "./kernels", "./kernels/internal/shapes", "./kernels/cuda", "./engine/op", "./engine/nn")
	goRun(t, root, "--- PASS: TestOperations/relu_squared/127", "test", "-overlay", file, "-v", "-run", "TestOperations/relu_squared$", "./engine/op")
	goRun(t, root, "--- PASS: TestProcessor/", "test", "-overlay", file, "-v", "-run", "TestProcessor/.*/relu_squared", "./engine/op/optest")

	copied := filepath.Join(dir, "attune") // these read the files themselves
	copyTree(t, root, copied)
	for name, text := range typed {
		write(t, copied, name, text)
	}
	goRun(t, copied, "--- PASS: TestArgsAreTheSameInGo", "test", "-v", "-run", "TestArgsAreTheSameInGo", "./kernels/cuda")
	goRun(t, copied, "--- PASS: TestEveryKernelIsInTheTable", "test", "-v", "-run", "Imports|Documented|Huge|EveryKernel", "./internal/archtest")
}

// recipe is what the page has one type, by file: new files, and old ones with their new lines.
func recipe(t *testing.T, root string) map[string]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "adding-an-op.md"))
	if err != nil {
		t.Fatal(err)
	}
	typed, tables := map[string]string{}, 0
	for _, m := range recipeBlock.FindAllStringSubmatch(string(page), -1) {
		name, text := m[2], m[3]
		if m[1] != "file" {
			old, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			head := tableHeads[name]
			if head == "" || !strings.Contains(string(old), head) {
				t.Fatalf("%s has no table", name)
			}
			text = strings.Replace(string(old), head, head+text, 1)
			tables++
		} else if tidy, err := format.Source([]byte(text)); filepath.Ext(name) == ".go" && (err != nil || string(tidy) != text) {
			t.Errorf("%s in the page is not formatted as gofmt does: %v", name, err)
		}
		typed[name] = text
	}
	if len(typed) != 9 || tables != 4 {
		t.Fatalf("the page has %d files and lines of %d tables, want 5 and 4", len(typed)-tables, tables)
	}
	return typed
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// copyTree copies sources and documents: what go and archtest read.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != "."):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		switch filepath.Ext(name) {
		case ".go", ".c", ".h", ".cu", ".cuh", ".md", ".mod", ".sum":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(to, name), text, 0o600)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// goRun runs the go command in a directory; its output must contain a text. There is no C in it: kernels/cpu would be compiled
// anew for every instruction set, and none of them has a kernel of the page.
func goRun(t *testing.T, dir, want string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "ATTUNE_TEST_RECIPE=1", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	if !strings.Contains(string(out), want) {
		t.Errorf("go %v does not say %q:\n%s", args, want, fmt.Sprintf("%.4000s", out))
	}
}
