package op_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"

	"attune/engine/op/optest"
)

func TestOperations(t *testing.T) { optest.References(t) }

// Every kernel that package kernels defines is run by the suite: one that is not lacks its operation's line in the table.
func TestEveryKernelIsInTheSuite(t *testing.T) {
	files, err := filepath.Glob("../../kernels/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources of kernels: %v", err)
	}
	run := optest.Kernels(t)
	for _, f := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), f, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || fn.Name.Name != "Name" || fn.Body == nil {
				continue
			}
			name, err := strconv.Unquote(fn.Body.List[0].(*ast.ReturnStmt).Results[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if !run[name] {
				t.Errorf("%s: no case runs kernel %s: give it a line in op.Table", f, name)
			}
			delete(run, name)
		}
	}
	for name := range run {
		t.Errorf("the suite runs kernel %s, which package kernels does not define", name)
	}
}
