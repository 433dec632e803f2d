package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// read gives the text of a file named from the root.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// firstCells are the first cells of the tables in a page.
func firstCells(page string) []string {
	var cells []string
	for line := range strings.Lines(page) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| ") {
			cells = append(cells, cell)
		}
	}
	return cells
}

var requirement = regexp.MustCompile(`(?m)^\t(\S+) v\S+( // indirect)?$`)

// docs/dependencies.md has a reason for each module that is imported, and none for others.
func TestEveryDependencyHasAReason(t *testing.T) {
	mod := read(t, "go.mod")
	var explained []string
	for _, cell := range firstCells(read(t, "docs/dependencies.md")) {
		for _, m := range strings.Split(cell, ", ") {
			if strings.Contains(m, ".") {
				explained = append(explained, m)
			}
		}
	}
	direct := 0
	for _, r := range requirement.FindAllStringSubmatch(mod, -1) {
		if r[2] == "" {
			direct++
			if !slices.Contains(explained, r[1]) {
				t.Errorf("docs/dependencies.md does not say why %s", r[1])
			}
		}
	}
	if direct < 10 {
		t.Fatalf("go.mod has only %d direct requirements", direct)
	}
	for _, m := range explained {
		if !strings.Contains(mod, "\t"+m+" v") {
			t.Errorf("docs/dependencies.md explains %s, which go.mod does not require", m)
		}
	}
}

var kernelName = regexp.MustCompile(`(?m)^func \([^)]*\) Name\(\) string \{ return "(\w+)" \}`)

// The table of kernels in docs/ARCHITECTURE.md has each kernel of package kernels, and no other.
func TestEveryKernelIsInTheTable(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "kernels", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range kernelName.FindAllStringSubmatch(string(b), -1) {
			names = append(names, m[1])
		}
	}
	if len(names) < 15 {
		t.Fatalf("only %d kernels found", len(names))
	}
	_, table, ok := strings.Cut(read(t, "docs/ARCHITECTURE.md"), "| Name | attributes | in | out |\n| --- | --- | --- | --- |\n")
	if !ok {
		t.Fatal("docs/ARCHITECTURE.md has no table of kernels")
	}
	listed := firstCells(table)
	for _, n := range names {
		if !slices.Contains(listed, n) {
			t.Errorf("kernel %s is not in the table of docs/ARCHITECTURE.md", n)
		}
	}
	for _, n := range listed {
		if !slices.Contains(names, n) {
			t.Errorf("docs/ARCHITECTURE.md lists %s, which package kernels does not have", n)
		}
	}
}

var path = regexp.MustCompile("`((?:cmd|configs|data|docs|engine|internal|kernels|scripts)/[a-zA-Z0-9_/.-]*[a-zA-Z0-9_])/?`")

// Folders and files that a page names in `code` are there; `engine/op.Of` is package engine/op.
func TestPagesNameWhatIsThere(t *testing.T) {
	found := 0
	for _, page := range []string{"README.md", "docs/ARCHITECTURE.md", "docs/adding-an-op.md", "docs/adding-a-model.md", "docs/testing.md", "docs/text.md", "docs/glossary.md", "docs/dependencies.md", "docs/checkpoints.md"} {
		for _, m := range path.FindAllStringSubmatch(read(t, page), -1) {
			found++
			name := filepath.Join("..", "..", filepath.FromSlash(m[1]))
			if _, err := os.Stat(name); err == nil {
				continue
			}
			dir, base := filepath.Split(name)
			pkg, _, qualified := strings.Cut(base, ".")
			if st, err := os.Stat(filepath.Join(dir, pkg)); !qualified || err != nil || !st.IsDir() {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d names found in the pages", found)
	}
}
