package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attune/internal/disk"
)

// file writes a file with the given header (its length field right) and data bytes.
func file(t testing.TB, header string, data int) string {
	t.Helper()
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(append(b, header...), make([]byte, data)...)
	p := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHostileFiles(t *testing.T) {
	one := `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		name, header string
		data         int
		want         string
	}{
		{"not JSON", `hello`, 0, "not a JSON object"},
		{"array", `[]`, 0, "not a JSON object"},
		{"cut JSON", `{"a":`, 0, `"a"`},
		{"text behind", `{` + one + `} x`, 8, ""},
		{"second object", `{` + one + `}{}`, 8, "text after"},
		{"twice", `{` + one + `,` + one + `}`, 8, `"a" is there twice`},
		{"unknown dtype", `{"a":{"dtype":"F12","shape":[2],"data_offsets":[0,8]}}`, 8, `"F12"`},
		{"size", `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, "takes 12"},
		{"overflow", `{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0, "impossible"},
		{"negative shape", `{"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}`, 8, "impossible"},
		{"null shape", `{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 4, "null"},
		{"negative offset", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8, "data_offsets"},
		{"backwards", `{"a":{"dtype":"F32","shape":[0],"data_offsets":[8,0]}}`, 8, "data_offsets"},
		{"beyond the end", `{` + one + `}`, 7, "cut short"},
		{"far beyond", `{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}`, 7, "cut short"},
		{"too long", `{` + one + `}`, 9, "1 unused bytes after"},
		{"gap", `{` + one + `,"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}`, 10, "1 unused bytes before"},
		{"overlap", `{` + one + `,"b":{"dtype":"U8","shape":[2],"data_offsets":[7,9]}}`, 9, "overlaps"},
		{"field missing", `{"a":{"dtype":"F32","shape":[2]}}`, 8, "data_offsets is missing"},
		{"field unknown", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8, `"x"`},
		{"metadata", `{"__metadata__":{"a":1},` + one + `}`, 8, "__metadata__"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Open(file(t, c.header, c.data))
			if err == nil {
				f.Close()
				t.Fatal("accepted")
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want ErrInvalid with %q", err, c.want)
			}
		})
	}
	for name, b := range map[string][]byte{
		"empty":       {},
		"short":       {1, 0, 0},
		"long header": binary.LittleEndian.AppendUint64(nil, 1<<40),
		"no header":   binary.LittleEndian.AppendUint64(nil, 50),
	} {
		p := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(p); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v; want ErrInvalid", name, err)
		}
	}
}

func TestWriteRead(t *testing.T) {
	ts := []Tensor{
		{Name: "b", Dtype: "BF16", Shape: []int{3}, Data: []byte{1, 2, 3, 4, 5, 6}},
		{Name: "z", Dtype: "F32", Shape: nil, Data: []byte{7, 8, 9, 10}},
		{Name: `a"<&`, Dtype: "F32", Shape: []int{2, 1}, Data: []byte{11, 12, 13, 14, 15, 16, 17, 18}},
		{Name: "none", Dtype: "F32", Shape: []int{0, 4}},
	}
	meta := map[string]string{"format": "pt", "note": "é\n"}
	p, q := filepath.Join(t.TempDir(), "p"), filepath.Join(t.TempDir(), "q")
	if err := write(p, ts, meta); err != nil {
		t.Fatal(err)
	}
	rev := slices.Clone(ts)
	slices.Reverse(rev)
	if err := write(q, rev, meta); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(p)
	b, _ := os.ReadFile(q)
	if !bytes.Equal(a, b) {
		t.Error("the order of the tensors changes the file")
	}
	f, err := Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata()["note"] != "é\n" || len(f.Metadata()) != 2 {
		t.Errorf("metadata %v", f.Metadata())
	}
	for _, want := range ts {
		got, ok := f.Info(want.Name)
		if !ok || got.Dtype != want.Dtype || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(f.Data(want.Name), want.Data) {
			t.Errorf("%s: got %+v % x", want.Name, got, f.Data(want.Name))
		}
		if got.Offset%sizes[got.Dtype] != 0 {
			t.Errorf("%s: not aligned, at byte %d", want.Name, got.Offset)
		}
	}
	if f.Data("other") != nil {
		t.Error("a tensor that is not there has data")
	}
}

func TestWriteRefuses(t *testing.T) {
	p := filepath.Join(t.TempDir(), "x")
	for name, ts := range map[string][]Tensor{
		"size":  {{Name: "a", Dtype: "F32", Shape: []int{2}, Data: []byte{1}}},
		"dtype": {{Name: "a", Dtype: "float", Data: []byte{1}}},
		"twice": {{Name: "a", Dtype: "U8", Shape: []int{1}, Data: []byte{1}}, {Name: "a", Dtype: "U8", Shape: []int{1}, Data: []byte{1}}},
		"UTF-8": {{Name: "\xff", Dtype: "U8", Shape: []int{1}, Data: []byte{1}}},
	} {
		if err := write(p, ts, nil); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if _, err := os.Stat(p); !errors.Is(err, os.ErrNotExist) {
		t.Error("a refused write left a file")
	}
}

func TestShards(t *testing.T) {
	shard := func(dir, name, tensor string) {
		if err := write(filepath.Join(dir, name), []Tensor{{Name: tensor, Dtype: "U8", Shape: []int{1}, Data: []byte{tensor[0]}}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	index := func(dir, s string) {
		if err := os.WriteFile(filepath.Join(dir, IndexName), []byte(`{"metadata":{},"weight_map":`+s+`}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, index, want string }{
		{"good", `{"a":"1.safetensors","b":"2.safetensors"}`, ""},
		{"outside", `{"a":"../1.safetensors"}`, "outside"},
		{"absolute", `{"a":"/etc/1.safetensors"}`, "outside"},
		{"promised", `{"a":"1.safetensors","c":"2.safetensors"}`, `"c"`},
		{"elsewhere", `{"a":"2.safetensors","b":"1.safetensors"}`, `does not hold tensor "a"`},
		{"shard missing", `{"a":"3.safetensors"}`, "3.safetensors"},
		{"twice", `{"a":"1.safetensors","b":"2.safetensors","c":"4.safetensors"}`, `"a" is in`},
		{"empty", `{}`, "empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			shard(dir, "1.safetensors", "a")
			shard(dir, "2.safetensors", "b")
			shard(dir, "4.safetensors", "a")
			index(dir, c.index)
			s, err := OpenDir(dir)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v; want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if string(s.Data("a")) != "a" || string(s.Data("b")) != "b" || len(s.Tensors()) != 2 {
				t.Errorf("got %v", s.Tensors())
			}
		})
	}
	if _, err := OpenDir(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
}

// FuzzOpen: whatever the bytes, Open fails cleanly or gives tensors that lie within the file.
func FuzzOpen(f *testing.F) {
	for _, h := range []string{`{}`, `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, `{"__metadata__":{"x":"y"}}`} {
		f.Add(append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...), make([]byte, 8)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(p)
		if err != nil {
			return
		}
		defer s.Close()
		var sum int64
		for _, x := range s.Tensors() {
			if int64(len(s.Data(x.Name))) != x.Bytes {
				t.Fatalf("%+v has %d bytes", x, len(s.Data(x.Name)))
			}
			sum += x.Bytes
		}
		if n := binary.LittleEndian.Uint64(b); !json.Valid(b[8 : 8+n]) {
			t.Fatalf("a header that is no JSON: %q", b[8:8+n])
		} else if sum+8+int64(n) != int64(len(b)) {
			t.Fatalf("tensors of %d bytes behind a header of %d in a file of %d", sum, n, len(b))
		}
	})
}

// What was let go of is read again from the file, whatever its neighbours are doing.
func TestRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	var tensors []Tensor
	for i := range 3 {
		data := bytes.Repeat([]byte{byte(i + 1), 7}, 20_000) // some pages, none of them whole at both ends
		tensors = append(tensors, Tensor{Name: string(rune('a' + i)), Dtype: "U8", Shape: []int{len(data)}, Data: data})
	}
	if err := write(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"b", "a", "c", "no such tensor", "b"} {
		f.Release(name)
		for _, x := range tensors {
			if !bytes.Equal(f.Data(x.Name), x.Data) {
				t.Errorf("%s is not what it was after %s was released", x.Name, name)
			}
		}
	}
}

func write(path string, tensors []Tensor, metadata map[string]string) error {
	return disk.Create(disk.OS(), path, func(w io.Writer) error { return Encode(w, tensors, metadata) })
}

// Below an open directory a file is that directory's, whatever its path has come to mean, and a link out of it is none.
func TestOpenIn(t *testing.T) {
	parent := t.TempDir()
	dir, path := filepath.Join(parent, "run"), filepath.Join(parent, "run", "x.safetensors")
	one := func(b byte) []Tensor { return []Tensor{{Name: "t", Dtype: "U8", Shape: []int{1}, Data: []byte{b}}} }
	if err := errors.Join(os.Mkdir(dir, 0o755), write(path, one(1), nil)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(dir, 0o755), write(path, one(2), nil)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir+"-away", "link")); err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]disk.FS{"a file of the system's": disk.In(root), "another": other{disk.In(root)}} {
		f, err := OpenIn(d, "x.safetensors")
		if err != nil {
			t.Fatal(name, err)
		}
		if got := f.Data("t"); got[0] != 1 {
			t.Errorf("%s: the tensor is %v, of the directory that took the name", name, got)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if f, err := OpenIn(d, "link"); !errors.Is(err, disk.ErrOutside) {
			t.Errorf("%s: a link led outside: %v, %v", name, f, err)
		}
	}
}

// other is a disk whose files are not the system's.
type other struct{ disk.FS }

func (o other) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	f, err := o.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return struct{ disk.File }{f}, nil
}

// What is loaded gives the bytes of what is there, a tensor at a time; what fails to be loaded, or has another size, is an
// error.
func TestEncodeLoaded(t *testing.T) {
	there := []Tensor{{Name: "a", Dtype: "F32", Shape: []int{2}, Data: []byte("12345678")}, {Name: "b", Dtype: "F32", Shape: []int{1}, Data: []byte("abcd")}}
	var want, got bytes.Buffer
	if err := Encode(&want, there, nil); err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 8)
	load := func(data []byte) func() ([]byte, error) {
		return func() ([]byte, error) { return one[:copy(one, data)], nil }
	}
	loaded := []Tensor{{Name: "a", Dtype: "F32", Shape: []int{2}, Load: load(there[0].Data)}, {Name: "b", Dtype: "F32", Shape: []int{1}, Load: load(there[1].Data)}}
	if err := Encode(&got, loaded, nil); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("got %q, want %q, %v", got.Bytes(), want.Bytes(), err)
	}
	gone := errors.New("gone")
	for _, bad := range []func() ([]byte, error){load([]byte("123")), func() ([]byte, error) { return nil, nil }, func() ([]byte, error) { return nil, gone }} {
		loaded[1].Load = bad
		if err := Encode(io.Discard, loaded, nil); err == nil || !strings.Contains(err.Error(), `"b"`) {
			t.Error(err)
		}
	}
}
