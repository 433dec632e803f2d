package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// changes are the functions of package os that change what is on the disk, and OpenFile, which can.
var changes = []string{"Chmod", "Chown", "Chtimes", "Create", "CreateTemp", "Lchown", "Link", "Mkdir", "MkdirAll", "MkdirTemp", "OpenFile", "Remove", "RemoveAll",
	"Rename", "Symlink", "Truncate", "WriteFile"}

// ofTests are packages that only tests, scripts and the build use.
var ofTests = regexp.MustCompile(`test$|^attune/scripts/|^attune/kernels/cuda/compile$`)

// mayChange are the files of others that call them, and why.
var mayChange = map[string]string{
	"attune/internal/disk/disk.go":           "it is the door",
	"attune/internal/smallfile/smallfile.go": "it opens for reading",
	"attune/data/loader/spill.go":            "its file has no name once it is open",
}

// What attune writes goes through internal/disk: below an open run_dir no link leads out of it, what must be whole is, and
// tests can make each operation fail.
func TestFilesAreChangedThroughOneDoor(t *testing.T) {
	used := map[string]bool{}
	for _, p := range load(t) {
		if ofTests.MatchString(p.ImportPath) {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
			for _, call := range callsOf(t, filepath.Join(p.Dir, name), "os", changes) {
				file := p.ImportPath + "/" + name
				if used[file] = true; mayChange[file] == "" {
					t.Errorf("%s calls os.%s: what changes files goes through internal/disk", file, call)
				}
			}
		}
	}
	for file := range mayChange {
		if !used[file] {
			t.Errorf("%s changes nothing; take it off the list", file)
		}
	}
}

// callsOf are the functions among names that a file uses of a package, called or handed on.
func callsOf(t *testing.T, path, pkg string, names []string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, s.Sel.Name) {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				calls = append(calls, s.Sel.Name)
			}
		}
		return true
	})
	return calls
}

// What only tests use is in no program.
func TestPackagesOfTestsStayThere(t *testing.T) {
	for _, p := range load(t) {
		for _, d := range p.Imports {
			if strings.HasPrefix(d, "attune/") && ofTests.MatchString(d) && !ofTests.MatchString(p.ImportPath) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, d)
			}
		}
	}
}
