package peft

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"attune/engine/model"
	"attune/engine/nn"
	"attune/internal/disk"
	"attune/internal/safetensors"
	"attune/internal/smallfile"
	"attune/internal/wholedir"
	"attune/kernels"
)

// Names of an adapter's files.
const (
	ConfigName  = "adapter_config.json"
	WeightsName = "adapter_model.safetensors"
)

// prefix is what PEFT puts before the base model's paths.
const prefix = "base_model.model."

// maxConfig bounds adapter_config.json, in bytes.
const maxConfig = 4 << 20

// Adapter is an open adapter directory.
type Adapter struct {
	Dir      string
	Config   Config
	Metadata map[string]string // of the weights' file; nil if none
	file     *safetensors.File
}

// Load opens an adapter directory. Settings that attune does not have (DoRA, rank patterns, trained biases, ...) are
// an error naming them; whether the weights fit a model is Check's to say.
func Load(dir string) (*Adapter, error) {
	return wholedir.Read(dir, func() (*Adapter, error) { return load(dir) })
}

func load(dir string) (*Adapter, error) {
	path := filepath.Join(dir, ConfigName)
	b, err := smallfile.Read(path, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("load adapter: %w", err)
	}
	c, err := parseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("load adapter %s: %w", path, err)
	}
	f, err := safetensors.Open(filepath.Join(dir, WeightsName))
	if err != nil {
		return nil, fmt.Errorf("load adapter: %w", err)
	}
	return &Adapter{Dir: dir, Config: c, Metadata: f.Metadata(), file: f}, nil
}

// Close unmaps the weights.
func (a *Adapter) Close() error { return a.file.Close() }

// Check holds the adapter to the graph that its weights go into: params as nn.Builder.Params gives them, built the
// settings the graph was built with. Every difference is named in one error, those of the settings with their cure: where
// they are not the adapter's own, they come from a run file.
func (a *Adapter) Check(built Config, params []nn.Param) error {
	var bad []string
	c := a.Config
	if c.R != built.R {
		bad = append(bad, fmt.Sprintf("rank %d in the file, %d in the run file; set lora.r: %d", c.R, built.R, c.R))
	}
	if c.Alpha != built.Alpha {
		bad = append(bad, fmt.Sprintf("lora_alpha %g in the file, %g in the run file; set lora.alpha: %g", c.Alpha, built.Alpha, c.Alpha))
	}
	if c.UseRSLoRA != built.UseRSLoRA {
		bad = append(bad, fmt.Sprintf("use_rslora %t in the file, %t in the run file; set lora.use_rslora: %t", c.UseRSLoRA, built.UseRSLoRA, c.UseRSLoRA))
	}
	known := map[string]bool{}
	for _, p := range params {
		if p.Kind != nn.Adapter {
			continue
		}
		known[p.Name] = true
		t, ok := a.file.Info(prefix + p.Name)
		switch {
		case !ok:
			bad = append(bad, fmt.Sprintf("missing %s %v", p.Name, p.Shape))
		case c.R != built.R && !slices.Equal(t.Shape, p.Shape): // said above, once
		case !slices.Equal(t.Shape, p.Shape):
			bad = append(bad, fmt.Sprintf("%s is %v; the model makes it %v", p.Name, t.Shape, p.Shape))
		default:
			if _, ok := dtypes[t.Dtype]; !ok {
				bad = append(bad, fmt.Sprintf("%s is %s; there are F32, F16, BF16", p.Name, t.Dtype))
			}
		}
	}
	for _, t := range a.file.Tensors() {
		if name, ok := strings.CutPrefix(t.Name, prefix); !ok || !known[name] {
			bad = append(bad, fmt.Sprintf("extra %.200s %v", t.Name, t.Shape))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	const most = 20
	more := ""
	if len(bad) > most {
		bad, more = bad[:most], fmt.Sprintf("\n  and %d more", len(bad)-most)
	}
	return fmt.Errorf("load adapter %s: it does not fit what it is loaded into:\n  %s%s", a.Dir, strings.Join(bad, "\n  "), more)
}

var dtypes = map[string]kernels.Dtype{"F32": kernels.Float32, "BF16": kernels.BFloat16, "F16": kernels.Float16}

// Weight is the adapter weight of the name that nn.Param has (model.layers.0.self_attn.q_proj.lora_A.weight).
func (a *Adapter) Weight(name string) (model.Weight, error) {
	t, ok := a.file.Info(prefix + name)
	if !ok {
		return model.Weight{}, fmt.Errorf("load adapter %s: no tensor %q", a.Dir, prefix+name)
	}
	d, ok := dtypes[t.Dtype]
	if !ok {
		return model.Weight{}, fmt.Errorf("load adapter %s: tensor %q is %s; there are F32, F16, BF16", a.Dir, t.Name, t.Dtype)
	}
	w := model.Weight{Name: name, Dtype: d, Shape: t.Shape, Data: a.file.Data(t.Name)}
	return w.Aligned(), nil
}

// Save writes an adapter directory, whole or not at all: weights are those of nn.Builder.Params of Kind Adapter, in
// float32 under their nn names. The card becomes README.md and the metadata of the weights' file.
func Save(fs disk.FS, dir string, c Config, weights []model.Weight, card Card) error {
	var ts []safetensors.Tensor
	var names []string
	for _, w := range weights {
		i := strings.LastIndex(w.Name, ".lora_")
		if i < 0 || w.Dtype != kernels.Float32 {
			return fmt.Errorf("save adapter: %s of %s is not an adapter's weight in float32", w.Name, w.Dtype)
		}
		ts = append(ts, safetensors.Tensor{Name: prefix + w.Name, Dtype: "F32", Shape: w.Shape, Data: w.Data})
		names = append(names, w.Name[strings.LastIndexByte(w.Name[:i], '.')+1:i])
	}
	slices.Sort(names)
	config, err := c.encode(slices.Compact(names))
	if err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	meta := map[string]string{"format": "pt"}
	for _, f := range card.Facts {
		meta[f.Name] = f.Value
	}
	err = wholedir.Write(fs, dir, func(d *wholedir.Dir) error {
		files := map[string][]byte{ConfigName: config, "README.md": card.markdown(c)}
		maps.Copy(files, card.Files)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := d.WriteFile(name, files[name]); err != nil {
				return err
			}
		}
		return d.Write(WeightsName, func(w io.Writer) error { return safetensors.Encode(w, ts, meta) })
	})
	if err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	return nil
}
