package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/hostiletest"
)

// Headers of the largest size that say nothing useful, in every way in which they can be large.
func TestLargeHeaders(t *testing.T) {
	const size = 8 << 20
	fill := func(before, piece, after string) string {
		return before + strings.Repeat(piece, (size-len(before)-len(after))/len(piece)) + after
	}
	var tensors strings.Builder
	for i := 0; tensors.Len() < 4*size; i++ {
		fmt.Fprintf(&tensors, `,"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
	}
	for name, c := range map[string]struct{ header, want string }{
		"tensors":      {"{" + tensors.String()[1:] + "}", "tensors"},
		"dimensions":   {fill(`{"a":{"dtype":"U8","data_offsets":[0,1],"shape":[1`, ",1", "]}}"), "dimensions"},
		"offsets":      {fill(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0`, ",1", "]}}"), "data_offsets"},
		"name":         {fill(`{"`, "a", `":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`), "name"},
		"escaped name": {fill(`{"`, `\u0061`, `":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`), "name"},
		"dtype":        {fill(`{"a":{"shape":[1],"data_offsets":[0,1],"dtype":"`, "U", `"}}`), "dtype"},
		"number":       {fill(`{"a":{"dtype":"U8","shape":[1`, "0", `],"data_offsets":[0,1]}}`), "shape"},
		"field":        {fill(`{"a":{"`, "b", `":1}}`), "field"},
		"fields":       {fill(`{"a":{"shape":[1]`, `,"shape":[1]`, `}}`), "shape"},
		"depth":        {fill(`{"a":`, "[", ``), `"a"`},
		"objects":      {fill(`{"a":`, `{"a":`, ``), `"a"`},
		"blanks":       {fill(`{`, " ", ``), "ends"},
		"metadata":     {fill(`{"__metadata__":{"a":"b"`, `,"a":"b"`, `}}`), "__metadata__"},
		"other":        {fill(`{"__metadata__":{"a":`, `[`, ``), "__metadata__"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, c.header, 1)
			took := hostiletest.Allocated(func() {
				f, err := Open(path)
				if err == nil {
					f.Close()
					t.Fatal("accepted")
				}
				if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) || len(err.Error()) > len(path)+300 || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %.400v; want ErrInvalid with %q in one short sentence", err, c.want)
				}
			})
			if took > 192<<20 {
				t.Errorf("%d bytes taken for a header of %d", took, len(c.header))
			}
		})
	}
}

// What the header may hold, it may hold in full.
func TestBoundsAreMet(t *testing.T) {
	shape := strings.TrimSuffix(strings.Repeat("1,", maxDims), ",")
	name := strings.Repeat("n", maxName)
	f, err := Open(file(t, `{"`+name+`":{"dtype":"U8","shape":[`+shape+`],"data_offsets":[0,1]}}`, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, ok := f.Info(name); !ok || len(x.Shape) != maxDims {
		t.Errorf("%+v, %v", x, ok)
	}
}

// JSON says the same in more than one way.
func TestHeaderSpellings(t *testing.T) {
	f, err := Open(file(t, "{ \"\\u00e9\\n\\ud83e\\udd99\" : {\"data_offsets\":[ 0 ,\t8 ], \"shape\": [ 2 ] ,\"dtype\":\"F32\" } , \"__metadata__\" : { } ,\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]} } \n", 9))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, ok := f.Info("é\n🦙"); !ok || x.Bytes != 8 || f.Metadata() == nil || len(f.Tensors()) != 2 {
		t.Errorf("%+v", f.Tensors())
	}
	g, err := Open(file(t, `{"__metadata__":null,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, header := range []string{
		`{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}`, `{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`,
		`{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}`, `{"a":{"dtype":"U8","shape":[1,],"data_offsets":[0,1]}}`,
		`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},}`, `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],}}`,
		`{"a" {"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, `{'a':{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`,
		`{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}`, `{"a":null}`, `{"a":{"dtype":"U8","shape":[-],"data_offsets":[0,1]}}`,
		"{\"a\x01\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
		`{"__metadata__":{},"__metadata__":{},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, `{"__metadata__":nil,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`,
		`{"\x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, `{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}`,
	} {
		if f, err := Open(file(t, header, 1)); err == nil {
			f.Close()
			t.Errorf("%s: accepted", header)
		} else if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", header, err)
		}
	}
}

// An index that is no file, has no end, or names more tensors and longer names than a model has.
func TestHostileIndex(t *testing.T) {
	many := map[string]string{}
	for i := range maxTensors + 1 {
		many[fmt.Sprint(i)] = "a.safetensors"
	}
	tooMany, err := json.Marshal(map[string]any{"weight_map": many})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxName+1)
	for name, c := range map[string]struct{ text, want string }{
		"tensors":   {string(tooMany), "tensors"},
		"name":      {`{"weight_map":{"` + long + `":"a.safetensors"}}`, "name"},
		"shard":     {`{"weight_map":{"a":"` + long + `"}}`, "name"},
		"depth":     {`{"metadata":` + strings.Repeat("[", 1<<20), "metadata"},
		"no object": {`[]`, "object"},
		"map":       {`{"weight_map":[]}`, "weight_map"},
		"number":    {`{"weight_map":{"a":1}}`, `"a"`},
		"behind":    {`{"weight_map":{"a":"a.safetensors"}} {}`, "after"},
		"twice":     {`{"weight_map":{"a":"a.safetensors","a":"b.safetensors"}}`, "twice"},
		"size":      {`{"metadata":"` + strings.Repeat("x", maxIndex) + `"}`, "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, IndexName), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := OpenDir(dir)
			if err == nil {
				s.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || len(err.Error()) > 600 || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %.700v; want %q in one short sentence", err, c.want)
			}
		})
	}
	for _, target := range []string{"pipe", "/dev/zero"} {
		for _, name := range []string{IndexName, SingleName} {
			dir := t.TempDir()
			hostiletest.Link(t, dir, name, target)
			if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "a regular file is needed") {
				t.Errorf("%s is a link to %s: %v", name, target, err)
			}
		}
	}
}

// FuzzOpenDir: whatever the index and a shard say, OpenDir fails cleanly or gives what the index promises, from files
// inside the directory.
func FuzzOpenDir(f *testing.F) {
	header := `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`
	shard := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header+"x"...)
	for _, index := range []string{
		`{"metadata":{"total_size":1},"weight_map":{"a":"s.safetensors"}}`, `{"weight_map":{"a":"../s.safetensors"}}`, `{"weight_map":{"a":"/etc/passwd"}}`,
		`{"weight_map":{"a":"s.safetensors","b":"s.safetensors"}}`, `{"weight_map":{}}`, `{"weight_map":{"a":""}}`, `{"weight_map":{"a":"./s.safetensors"}}`,
		`{"weight_map":{"a":"d/../s.safetensors"}}`, `{"weight_map":{"a":"."}}`, `[`, `{"weight_map":{"\u0061":"s\u002esafetensors"}}`, "{\"weight_map\":{\"a\":\"s\\u0000\"}}",
	} {
		f.Add([]byte(index), shard)
	}
	f.Fuzz(func(t *testing.T, index, shard []byte) {
		dir := filepath.Join(t.TempDir(), "model")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		// the same weights outside, where nothing may find them
		for path, b := range map[string][]byte{filepath.Join(dir, IndexName): index, filepath.Join(dir, "s.safetensors"): shard, filepath.Join(dir, "..", "s.safetensors"): shard} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := OpenDir(dir)
		if err != nil {
			if len(err.Error()) > 4096 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		defer s.Close()
		for _, p := range s.Paths() {
			if filepath.Dir(p) != dir {
				t.Fatalf("%s lies outside of %s", p, dir)
			}
		}
		for _, x := range s.Tensors() {
			if int64(len(s.Data(x.Name))) != x.Bytes {
				t.Fatalf("%+v has %d bytes", x, len(s.Data(x.Name)))
			}
		}
		var idx struct {
			WeightMap map[string]string `json:"weight_map"`
		}
		if err := json.Unmarshal(index, &idx); err != nil {
			t.Fatalf("an index that is no JSON is accepted: %v", err)
		}
		for name := range idx.WeightMap {
			if _, ok := s.Info(name); !ok {
				t.Fatalf("%q is promised and not there", name)
			}
		}
	})
}
