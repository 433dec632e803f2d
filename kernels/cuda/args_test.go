package cuda

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// field is one member of a struct of arguments.
type field struct {
	name         string // lower case without underscores; padding is "_"
	kind         string // a C type of cSizes
	count        int64  // of an array, else 1
	offset, size int64
}

// Every struct x_args of the .cu and .cuh files has a struct xArgs in Go, and the other way round: the same fields in the
// same order at the same offsets, without padding that nobody wrote.
func TestArgsAreTheSameInGo(t *testing.T) {
	inC, inGo := argsInC(t), argsInGo(t)
	if len(inC) == 0 {
		t.Fatal("no struct of arguments found")
	}
	for name := range inGo {
		if inC[name] == nil {
			t.Errorf("%s stands in no .cu file", name)
		}
	}
	for name, c := range inC {
		g := inGo[name]
		if g == nil {
			t.Errorf("%s has no struct in Go", name)
			continue
		}
		if len(c) != len(g) {
			t.Errorf("%s: %d fields in C++, %d in Go", name, len(c), len(g))
			continue
		}
		end, align := int64(0), int64(1)
		for i := range c {
			if c[i] != g[i] {
				t.Errorf("%s: field %d is %+v in C++, %+v in Go", name, i, c[i], g[i])
			}
			if c[i].offset != end {
				t.Errorf("%s: %d bytes of padding before %s; write them as a field pad", name, c[i].offset-end, c[i].name)
			}
			end, align = c[i].offset+c[i].size, max(align, alignment(c[i].kind))
		}
		if end%align != 0 {
			t.Errorf("%s: %d bytes, aligned to %d; write the padding at its end as a field pad", name, end, align)
		}
	}
}

// cSizes are the types that fields have.
var cSizes = map[string]int64{"ptr": 8, "i64": 8, "u64": 8, "f64": 8, "i32": 4, "u32": 4, "f32": 4, "map": 128}

func alignment(kind string) int64 { return min(cSizes[kind], 64) }

var (
	comment = regexp.MustCompile(`//[^\n]*`)
	argsInH = regexp.MustCompile(`struct (\w+_args) \{([^}]*)\};`)
	member  = regexp.MustCompile(`^(\**)\s*(\w+)((?:\[\d+\])?)$`)
)

// plain is a field's name without what the two languages write differently.
func plain(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", ""))
	if name == "" || regexp.MustCompile(`^pad\d*$`).MatchString(name) {
		return "_"
	}
	return name
}

func argsInC(t *testing.T) map[string][]field {
	t.Helper()
	all := map[string][]field{}
	cu, err := filepath.Glob("*.cu*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range cu {
		if i, err := os.Stat(file); err != nil || i.IsDir() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range argsInH.FindAllStringSubmatch(comment.ReplaceAllString(string(text), ""), -1) {
			name := plain(m[1])
			if all[name] != nil {
				t.Errorf("%s: %s stands twice", file, m[1])
			}
			fields, err := membersInC(m[2])
			if err != nil {
				t.Errorf("%s: %s: %v", file, m[1], err)
			}
			all[name] = fields
		}
	}
	return all
}

// membersInC lays out declarations like `const f32 *a, *b; i32 n[4];` as C++ does.
func membersInC(body string) ([]field, error) {
	var fields []field
	at := int64(0)
	for _, line := range strings.Split(body, ";") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "const ")
		if line == "" {
			continue
		}
		base, names, ok := strings.Cut(line, " ")
		if !ok {
			return nil, fmt.Errorf("%q is no declaration", line)
		}
		for _, n := range strings.Split(names, ",") {
			m := member.FindStringSubmatch(strings.TrimSpace(n))
			if m == nil {
				return nil, fmt.Errorf("%q: the test does not understand %q", line, n)
			}
			f := field{name: plain(m[2]), kind: base, count: 1}
			if m[1] != "" {
				f.kind = "ptr"
			} else if base == "tensor_map" {
				f.kind = "map"
			}
			if m[3] != "" {
				f.count, _ = strconv.ParseInt(strings.Trim(m[3], "[]"), 10, 64)
			}
			size := cSizes[f.kind]
			if size == 0 {
				return nil, fmt.Errorf("%q: %s is no type for arguments", line, base)
			}
			align := alignment(f.kind)
			f.offset = (at + align - 1) / align * align
			f.size = size * f.count
			at = f.offset + f.size
			fields = append(fields, f)
		}
	}
	return fields, nil
}

func argsInGo(t *testing.T) map[string][]field {
	t.Helper()
	files := token.NewFileSet()
	var parsed []*ast.File
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	// Imports are not read: fields of arguments are of this package's and of built-in types.
	config := types.Config{Error: func(error) {}, Sizes: types.SizesFor("gc", "amd64")}
	pkg, _ := config.Check("cuda", files, parsed, nil)
	all := map[string][]field{}
	for _, name := range pkg.Scope().Names() {
		s, ok := pkg.Scope().Lookup(name).Type().Underlying().(*types.Struct)
		if _, isType := pkg.Scope().Lookup(name).(*types.TypeName); !ok || !isType || !strings.HasSuffix(name, "Args") {
			continue
		}
		var vars []*types.Var
		for i := range s.NumFields() {
			vars = append(vars, s.Field(i))
		}
		fields := []field{}
		for i, at := range config.Sizes.Offsetsof(vars) {
			f := goField(vars[i].Type())
			f.name, f.offset, f.size = plain(vars[i].Name()), at, config.Sizes.Sizeof(vars[i].Type())
			fields = append(fields, f)
		}
		all[plain(name)] = fields
	}
	return all
}

func goField(t types.Type) field {
	f := field{count: 1}
	if t.String() == "cuda.tensorMap" {
		f.kind = "map"
		return f
	}
	if a, ok := t.Underlying().(*types.Array); ok {
		f.count, t = a.Len(), a.Elem()
	}
	f.kind = map[string]string{"cuda.Ptr": "ptr", "int64": "i64", "uint64": "u64", "float64": "f64", "int32": "i32", "uint32": "u32", "float32": "f32"}[t.String()]
	if f.kind == "" {
		f.kind = t.String()
	}
	return f
}
