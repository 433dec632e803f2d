package peft

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/engine/nn"
	"attune/internal/disk"
	"attune/internal/safetensors"
	"attune/kernels"
)

// written is the directory of an adapter on q_proj, and the builder it fits.
func written(t *testing.T, c Config) (string, *nn.Builder) {
	t.Helper()
	b := adapted(t, tiny(t), c)
	dir := filepath.Join(t.TempDir(), "adapter")
	if err := Save(disk.OS(), dir, c, values(b), Card{}); err != nil {
		t.Fatal(err)
	}
	return dir, b
}

var onQuery = Config{R: 2, Alpha: 4, Targets: Targets{Names: []string{"q_proj"}}, BaseModel: "x"}

func TestDirectoriesThatAreNoAdapter(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(dir string) error
		says  string
	}{
		{"no config", func(dir string) error { return os.Remove(filepath.Join(dir, ConfigName)) }, ConfigName},
		{"no weights", func(dir string) error { return os.Remove(filepath.Join(dir, WeightsName)) }, WeightsName},
		{"broken config", func(dir string) error { return os.WriteFile(filepath.Join(dir, ConfigName), []byte(`{"r": `), 0o600) }, ConfigName},
		{"config of a wrong type", func(dir string) error { return os.WriteFile(filepath.Join(dir, ConfigName), []byte(`[]`), 0o600) }, ConfigName},
		{"endless config", func(dir string) error { return os.Truncate(filepath.Join(dir, ConfigName), maxConfig+1) }, "at most"},
		{"cut weights", func(dir string) error { return os.Truncate(filepath.Join(dir, WeightsName), 100) }, WeightsName},
		{"empty weights", func(dir string) error { return os.Truncate(filepath.Join(dir, WeightsName), 0) }, WeightsName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, _ := written(t, onQuery)
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			a, err := Load(dir)
			if err == nil || !strings.HasPrefix(err.Error(), "load adapter") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q named", err, tt.says)
			}
			if a != nil {
				t.Error("an adapter was given beside the error")
			}
			if strings.HasPrefix(tt.name, "no ") && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v does not wrap that the file is absent", err)
			}
		})
	}
}

// Tensors of another shape or dtype are named; so is a scale of another kind.
func TestCheckNamesTensors(t *testing.T) {
	dir, b := written(t, onQuery)
	var ts []safetensors.Tensor
	for i, w := range values(b) {
		s := safetensors.Tensor{Name: prefix + w.Name, Dtype: "F32", Shape: w.Shape, Data: w.Data}
		switch i {
		case 0: // the same bytes, another shape
			s.Shape = []int{len(w.Data) / 4}
		case 1:
			s.Dtype = "I32"
		}
		ts = append(ts, s)
	}
	if err := writeTensors(filepath.Join(dir, WeightsName), ts, nil); err != nil {
		t.Fatal(err)
	}
	a, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	run := onQuery
	run.UseRSLoRA = true
	err = a.Check(run, b.Params())
	for _, want := range []string{
		"lora_A.weight is [16]; the model makes it [2 8]",
		"lora_B.weight is I32; there are F32, F16, BF16",
		"use_rslora false in the file, true in the run file; set lora.use_rslora: false",
	} {
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("%q is not once in %v", want, err)
		}
	}
	if _, err := a.Weight(strings.TrimPrefix(ts[1].Name, prefix)); err == nil || !strings.Contains(err.Error(), "I32") {
		t.Errorf("a weight of int32: %v", err)
	}
	if _, err := a.Weight("model.norm.weight"); err == nil || !strings.Contains(err.Error(), "no tensor") {
		t.Errorf("a weight that is not there: %v", err)
	}
}

// However much is wrong, the error stays readable.
func TestCheckStopsCounting(t *testing.T) {
	dir, _ := written(t, onQuery)
	a, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	all := Config{R: 2, Alpha: 4, Targets: Targets{All: true}}
	params := adapted(t, tiny(t), all).Params() // 7 linears in each of 2 layers: 24 matrices that the file lacks
	err = a.Check(all, params)
	if err == nil || strings.Count(err.Error(), "\n  missing ") != 20 || !strings.HasSuffix(err.Error(), "and 4 more") {
		t.Errorf("got %v", err)
	}
}

// What cannot be an adapter is not written, and what was there stays.
func TestSaveRefuses(t *testing.T) {
	dir, b := written(t, onQuery)
	before, err := os.ReadFile(filepath.Join(dir, WeightsName))
	if err != nil {
		t.Fatal(err)
	}
	narrow := values(b)
	narrow[1].Dtype = kernels.BFloat16
	short := values(b)
	short[0].Data = short[0].Data[:4]
	for name, ws := range map[string][]model.Weight{
		"a base weight": {{Name: "model.norm.weight", Dtype: kernels.Float32, Shape: []int{1}, Data: make([]byte, 4)}},
		"bfloat16":      narrow,
		"short data":    short,
	} {
		if err := Save(disk.OS(), dir, onQuery, ws, Card{}); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, WeightsName))
	if err != nil || string(after) != string(before) {
		t.Errorf("the adapter that was there has changed (%v)", err)
	}
}

func writeTensors(path string, tensors []safetensors.Tensor, metadata map[string]string) error {
	return disk.Create(disk.OS(), path, func(w io.Writer) error { return safetensors.Encode(w, tensors, metadata) })
}
