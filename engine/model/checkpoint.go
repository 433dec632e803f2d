package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"attune/engine/nn"
	"attune/internal/safetensors"
	"attune/internal/wholedir"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// ErrWeights marks weights that are not those of the config: missing, extra, mis-shaped.
var ErrWeights = errors.New("weights do not fit config.json")

// Checkpoint is an open Hugging Face directory, or a model that Random made.
type Checkpoint struct {
	Dir    string
	Config *Config
	set    tensors
}

// tensors is what a checkpoint asks of its weights' files.
type tensors interface {
	Tensors() []safetensors.Info
	Info(name string) (safetensors.Info, bool)
	Data(name string) []byte
	Release(name string)
	Metadata() map[string]string
	Paths() []string
	Close() error
}

// Tensor is a weight's name and shape.
type Tensor struct {
	Name  string
	Shape []int
}

// Open reads the directory's config.json and maps its weights, and checks that they fit: every missing, extra and mis-shaped
// tensor is named in one error, which wraps ErrWeights.
func Open(dir string) (*Checkpoint, error) {
	return wholedir.Read(dir, func() (*Checkpoint, error) { return open(dir) })
}

func open(dir string) (*Checkpoint, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	if err := checkBeside(dir); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	set, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	ck := &Checkpoint{Dir: dir, Config: c, set: set}
	if err := ck.check(); err != nil {
		return nil, errors.Join(fmt.Errorf("load %s: %w", dir, err), set.Close())
	}
	return ck, nil
}

// dtypes are those of the weights attune reads, by the format's spelling.
var dtypes = map[string]kernels.Dtype{"F32": kernels.Float32, "BF16": kernels.BFloat16, "F16": kernels.Float16}

// check holds the tensors to those the config's graph has.
func (ck *Checkpoint) check() error {
	want, err := ck.Config.Tensors()
	if err != nil {
		return err
	}
	var bad []string
	known := map[string]bool{}
	for _, t := range want {
		known[t.Name] = true
		got, ok := ck.set.Info(t.Name)
		switch {
		case !ok && t.Name == lmHead+".weight":
			bad = append(bad, fmt.Sprintf("missing %s %v (tie_word_embeddings is false)", t.Name, t.Shape))
		case !ok:
			bad = append(bad, fmt.Sprintf("missing %s %v", t.Name, t.Shape))
		case !slices.Equal(got.Shape, t.Shape):
			bad = append(bad, fmt.Sprintf("%s is %v; config.json makes it %v", t.Name, got.Shape, t.Shape))
		default:
			if _, ok := dtypes[got.Dtype]; !ok {
				bad = append(bad, fmt.Sprintf("%s is %s; there are F32, F16, BF16", t.Name, got.Dtype))
			}
		}
	}
	for _, t := range ck.set.Tensors() {
		if !known[t.Name] && !ignored(t.Name) {
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
	return fmt.Errorf("%w (model_type %s):\n  %s%s", ErrWeights, ck.Config.ModelType, strings.Join(bad, "\n  "), more)
}

// ignored are tensors that files hold and models do not need: buffers that old versions of transformers stored, and
// a copy of a tied head.
func ignored(name string) bool {
	return strings.HasSuffix(name, "rotary_emb.inv_freq") || strings.HasSuffix(name, ".masked_bias") ||
		strings.HasSuffix(name, ".attn.bias") || name == lmHead+".weight"
}

// Weight is the tensor called name, its bytes a view of the file, valid until Close.
func (ck *Checkpoint) Weight(name string) (Weight, error) {
	t, ok := ck.set.Info(name)
	if !ok {
		return Weight{}, fmt.Errorf("load %s: no tensor %q", ck.Dir, name)
	}
	d, ok := dtypes[t.Dtype]
	if !ok {
		return Weight{}, fmt.Errorf("load %s: tensor %q is %s; there are F32, F16, BF16", ck.Dir, name, t.Dtype)
	}
	return Weight{Name: name, Dtype: d, Shape: t.Shape, Data: ck.set.Data(name)}.Aligned(), nil
}

// Dtype is how a weight is stored, 0 where there is none of that name.
func (ck *Checkpoint) Dtype(name string) kernels.Dtype {
	t, _ := ck.set.Info(name)
	return dtypes[t.Dtype]
}

// Release lets go of the memory that reading a weight took; its bytes come from the file again where they are needed.
func (ck *Checkpoint) Release(name string) { ck.set.Release(name) }

// Weights are all the model's tensors, in the order in which its graph uses them.
func (ck *Checkpoint) Weights() ([]Weight, error) {
	ts, err := ck.Config.Tensors()
	if err != nil {
		return nil, err
	}
	ws := make([]Weight, len(ts))
	for i, t := range ts {
		if ws[i], err = ck.Weight(t.Name); err != nil {
			return nil, err
		}
	}
	return ws, nil
}

// Metadata is what the header of the weights' file says besides the tensors; Save puts it there.
func (ck *Checkpoint) Metadata() map[string]string { return ck.set.Metadata() }

// Files are the weights' files, for provenance.
func (ck *Checkpoint) Files() []string { return ck.set.Paths() }

// Close unmaps the weights.
func (ck *Checkpoint) Close() error { return ck.set.Close() }

// skeleton builds the training graph for one token: the one place that knows names, shapes and linears.
func (c *Config) skeleton() (*nn.Builder, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{Tokens: 1})
	c.Train(b)
	return b, b.Err()
}

// Tensors are the model's weights in the order in which its graph uses them; a tied head is not among them.
func (c *Config) Tensors() ([]Tensor, error) {
	b, err := c.skeleton()
	if err != nil {
		return nil, err
	}
	var ts []Tensor
	for _, p := range b.Params() {
		ts = append(ts, Tensor{Name: p.Name, Shape: p.Shape})
	}
	return ts, nil
}

// Linears are the model's linear layers, those that an adapter can target.
func (c *Config) Linears() ([]nn.Linear, error) {
	b, err := c.skeleton()
	if err != nil {
		return nil, err
	}
	return b.Linears(), nil
}

// Parameters counts the model's parameters.
func (c *Config) Parameters() (int64, error) {
	b, err := c.skeleton()
	if err != nil {
		return 0, err
	}
	var n int64
	for _, p := range b.Params() {
		n += int64(elements(p.Shape))
	}
	return n, nil
}
