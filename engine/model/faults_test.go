package model

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attune/engine/nn"
	"attune/internal/disk"
	"attune/internal/wholedir"
	"attune/kernels"

	"golang.org/x/sys/unix"
)

// fresh is a new model, open, with its weights.
func fresh(t *testing.T, o NewOptions) (*Checkpoint, []Weight) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "from")
	if err := New(disk.OS(), dir, o); err != nil {
		t.Fatal(err)
	}
	ck, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ck.Close(); err != nil {
			t.Error(err)
		}
	})
	ws, err := ck.Weights()
	if err != nil {
		t.Fatal(err)
	}
	return ck, ws
}

// A model that cannot be saved leaves nothing behind.
func TestSaveRefuses(t *testing.T) {
	ck, ws := fresh(t, NewOptions{})
	mixed := slices.Clone(ws)
	var err error
	if mixed[3].Data, err = ws[3].As(kernels.BFloat16); err != nil {
		t.Fatal(err)
	}
	mixed[3].Dtype = kernels.BFloat16
	short := slices.Clone(ws)
	short[2].Data = short[2].Data[:8]
	boom := errors.New("boom")
	tests := []struct {
		name    string
		weights []Weight
		extra   func(*wholedir.Dir) error
		says    string
	}{
		{"no weights", nil, nil, "no weights"},
		{"two dtypes", mixed, nil, "one dtype is needed"},
		{"short data", short, nil, short[2].Name},
		{"extra fails", ws, func(*wholedir.Dir) error { return boom }, "boom"},
	}
	parent := t.TempDir()
	for _, tt := range tests {
		if err := Save(disk.OS(), filepath.Join(parent, "to"), ck, tt.weights, nil, tt.extra); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.says)
		}
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// config.json keeps the one spelling of the dtype that it has, and everything that attune does not know.
func TestSaveKeepsTheConfig(t *testing.T) {
	for _, tt := range []struct{ in, want, not string }{
		{`{"torch_dtype":"bfloat16","mine":[1,2]}`, `"torch_dtype": "float32"`, `"dtype"`},
		{`{"dtype":"bfloat16","mine":[1,2]}`, `"dtype": "float32"`, `torch_dtype`},
		{`{"dtype":"bfloat16","torch_dtype":"float16","mine":[1,2]}`, `"dtype": "float32"`, `torch_dtype`},
		{`{"mine":[1,2]}`, `"torch_dtype": "float32"`, `"dtype"`},
	} {
		b, err := setDtype([]byte(tt.in), kernels.Float32)
		if err != nil {
			t.Fatal(err)
		}
		kept := strings.Contains(strings.Join(strings.Fields(string(b)), ""), `"mine":[1,2]`)
		if !strings.Contains(string(b), tt.want) || strings.Contains(string(b), tt.not) || !kept {
			t.Errorf("%s becomes %s", tt.in, b)
		}
	}
	if _, err := setDtype([]byte("[]"), kernels.Float32); err == nil {
		t.Error("a list is no config")
	}
}

// Converting directly and by way of float32 give the same bits, for every pair of dtypes and every 16-bit value.
func TestConversionsAgree(t *testing.T) {
	all := make([]byte, 0, 2<<16)
	for h := range 1 << 16 {
		all = append(all, byte(h), byte(h>>8))
	}
	dtypes := []kernels.Dtype{kernels.Float32, kernels.BFloat16, kernels.Float16}
	for _, from := range dtypes[1:] {
		w := Weight{Name: "w", Dtype: from, Shape: []int{256, 256}, Data: all}
		wide, err := w.As(kernels.Float32)
		if err != nil {
			t.Fatal(err)
		}
		by := Weight{Name: "w", Dtype: kernels.Float32, Shape: w.Shape, Data: wide}
		for _, to := range dtypes {
			direct, err := w.As(to)
			if err != nil {
				t.Fatal(err)
			}
			around, err := by.As(to)
			if err != nil {
				t.Fatal(err)
			}
			for h := range 1 << 16 {
				a, b := direct[h*int(to.Size()):(h+1)*int(to.Size())], around[h*int(to.Size()):(h+1)*int(to.Size())]
				x := math.Float32frombits(uint32(wide[4*h]) | uint32(wide[4*h+1])<<8 | uint32(wide[4*h+2])<<16 | uint32(wide[4*h+3])<<24)
				if !slices.Equal(a, b) && x == x { // a NaN may change its payload
					t.Fatalf("%s %#04x (%g) to %s is % x directly, % x by way of float32", from, h, x, to, a, b)
				}
			}
		}
	}
}

// Every architecture has seven linears a layer, in the order of the pass, each with its place in the graph's weights.
func TestLinears(t *testing.T) {
	for _, kind := range Types() {
		ck, ws := fresh(t, NewOptions{ModelType: kind, NumHiddenLayers: 3, NumKeyValueHeads: 2})
		linears, err := ck.Config.Linears()
		if err != nil {
			t.Fatal(err)
		}
		if len(linears) != 21 {
			t.Errorf("%s has %d linears in 3 layers", kind, len(linears))
		}
		for _, l := range linears {
			i := slices.IndexFunc(ws, func(w Weight) bool { return w.Name == l.Path+".weight" })
			if i < 0 || !slices.Equal(ws[i].Shape, []int{l.Out, l.In}) {
				t.Errorf("%s: %s (%d to %d) has no weight of that shape", kind, l.Path, l.In, l.Out)
			}
		}
		if k := slices.IndexFunc(linears, func(l nn.Linear) bool { return strings.HasSuffix(l.Path, "layers.0.self_attn.k_proj") }); k < 0 || linears[k].Out != 2*ck.Config.HeadDim {
			t.Errorf("%s: k_proj has not the size of two heads", kind)
		}
	}
}

func pipe(path string) error {
	return errors.Join(os.RemoveAll(path), unix.Mkfifo(path, 0o600))
}

func link(to, path string) error {
	return errors.Join(os.RemoveAll(path), os.Symlink(to, path))
}

func TestDirectoriesThatAreNoModel(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(dir string) error
		says  string
	}{
		{"no config", func(dir string) error { return os.Remove(filepath.Join(dir, "config.json")) }, "config.json"},
		{"broken config", func(dir string) error { return os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o600) }, "config.json"},
		{"endless config", func(dir string) error { return os.Truncate(filepath.Join(dir, "config.json"), maxConfig+1) }, "at most"},
		{"no weights", func(dir string) error { return os.Remove(filepath.Join(dir, "model.safetensors")) }, "safetensors"},
		{"cut weights", func(dir string) error { return os.Truncate(filepath.Join(dir, "model.safetensors"), 1000) }, "model.safetensors"},
		{"a pipe", func(dir string) error { return pipe(filepath.Join(dir, "config.json")) }, "config.json is a pipe; a regular file is needed"},
		{"endless file", func(dir string) error { return link("/dev/zero", filepath.Join(dir, "config.json")) }, "config.json is a device; a regular file is needed"},
		{"weights in a pipe", func(dir string) error { return pipe(filepath.Join(dir, "model.safetensors")) }, "model.safetensors is a pipe"},
		// what is only copied when the trained model is written, hours later
		{"endless license", func(dir string) error { return link("/dev/zero", filepath.Join(dir, "LICENSE")) }, "LICENSE is a device"},
		{"vocabulary in a pipe", func(dir string) error { return pipe(filepath.Join(dir, "vocab.json")) }, "vocab.json is a pipe"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "m")
			if err := New(disk.OS(), dir, NewOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if ck, err := Open(dir); err == nil || ck != nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q named", err, tt.says)
			}
		})
	}
}
