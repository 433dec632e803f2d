package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"attune/data/tokenizer"
	"attune/internal/disk"
	"attune/internal/rng"
	"attune/internal/wholedir"
	"attune/kernels"
)

// NewOptions are a new model's sizes. Zero values take the default in brackets.
type NewOptions struct {
	ModelType             string        // [llama]
	HiddenSize            int           // D [64]
	IntermediateSize      int           // F [8/3 D, up to the next multiple of 16]
	NumHiddenLayers       int           // L [2]
	NumAttentionHeads     int           // H [D/16, at least 1]
	NumKeyValueHeads      int           // KV [H]
	HeadDim               int           // Dh [D/H]
	MaxPositionEmbeddings int           // [2048]
	RopeTheta             float64       // [10000]
	SlidingWindow         int           // [0 = none]
	VocabSize             int           // V [the tokenizer's]; more leaves ids that no text gives
	Untied                bool          // a head of its own instead of the embedding's weights
	InitializerRange      float64       // standard deviation of matrices [0.02, transformers']; small models learn sooner with more
	Dtype                 kernels.Dtype // [float32]
	Seed                  uint64
	// Specials are the tokenizer's special tokens, ids from 0 on; the 256 bytes follow. [ChatML's three]
	Specials []string
	// Roles name the specials that begin, end and pad. [<|im_end|> ends, <|endoftext|> pads]
	Roles tokenizer.Roles
	// ChatTemplate is the Jinja template. [ChatML]
	ChatTemplate string
}

// ChatML is the template of new models that name no other.
const ChatML = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" +
	"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

// ErrRefused is in New's errors about what it was asked for.
var ErrRefused = errors.New("new model")

// New makes a small random model in dir, which must not exist or be empty: config.json, generation_config.json,
// model.safetensors and a byte-level tokenizer. Matrices are normal with standard deviation InitializerRange,
// norms 1, biases 0; the same options give the same bytes.
func New(fs disk.FS, dir string, o NewOptions) error {
	if err := o.fill(); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if left, err := fs.ReadDir(dir); err == nil && len(left) > 0 {
		return fmt.Errorf("%w: %s is not empty; name a new directory", ErrRefused, fs.Path(dir))
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("new model: %w", err)
	}
	config, err := o.config()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	c, err := ParseConfig(config)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := o.checkWindow(c); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	weights, err := random(c, o.Seed, o.Dtype)
	if err != nil {
		return fmt.Errorf("new model: %w", err)
	}
	err = wholedir.Write(fs, dir, func(d *wholedir.Dir) error {
		generation := map[string]any{"_from_model_config": true}
		o.addRoles(generation)
		gen, err := indented(generation)
		if err != nil {
			return err
		}
		if err := errors.Join(d.WriteFile("config.json", config), d.WriteFile("generation_config.json", gen)); err != nil {
			return err
		}
		if err := tokenizer.WriteByteLevel(d.WriteFile, o.Specials, o.Roles, o.ChatTemplate); err != nil {
			return err
		}
		return writeWeights(d, weights, nil)
	})
	if err != nil {
		return fmt.Errorf("new model: %w", err)
	}
	return nil
}

func (o *NewOptions) fill() error {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	if o.ModelType == "" {
		o.ModelType = "llama"
	}
	def(&o.HiddenSize, 64)
	def(&o.IntermediateSize, (o.HiddenSize*8/3+15)/16*16)
	def(&o.NumHiddenLayers, 2)
	def(&o.NumAttentionHeads, max(1, o.HiddenSize/16))
	def(&o.NumKeyValueHeads, o.NumAttentionHeads)
	if o.NumAttentionHeads > 0 {
		def(&o.HeadDim, o.HiddenSize/o.NumAttentionHeads)
	}
	def(&o.MaxPositionEmbeddings, 2048)
	if o.RopeTheta == 0 {
		o.RopeTheta = 10000
	}
	if o.InitializerRange == 0 {
		o.InitializerRange = 0.02
	}
	if !(o.InitializerRange > 0 && o.InitializerRange < 10) {
		return fmt.Errorf("initializer_range %g; it must be over 0 and under 10", o.InitializerRange)
	}
	if o.Dtype == 0 {
		o.Dtype = kernels.Float32
	}
	if o.Specials == nil {
		o.Specials = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
		if o.Roles == (tokenizer.Roles{}) {
			o.Roles = tokenizer.Roles{EOS: "<|im_end|>", PAD: "<|endoftext|>"}
		}
		if o.ChatTemplate == "" {
			o.ChatTemplate = ChatML
		}
	}
	for _, tok := range []string{o.Roles.BOS, o.Roles.EOS, o.Roles.PAD, o.Roles.UNK} {
		if tok != "" && !slices.Contains(o.Specials, tok) {
			return fmt.Errorf("token %q has a role but is none of the special tokens %q", tok, o.Specials)
		}
	}
	least := len(o.Specials) + 256
	def(&o.VocabSize, least)
	if o.VocabSize < least {
		return fmt.Errorf("vocab_size %d; 256 bytes and %d special tokens take %d", o.VocabSize, len(o.Specials), least)
	}
	if o.SlidingWindow < 0 {
		return fmt.Errorf("sliding_window %d; it must be positive, or 0 for none", o.SlidingWindow)
	}
	return nil
}

// addRoles adds the ids of the special tokens by config.json's names; null says that there is none, where transformers
// would assume Llama's.
func (o *NewOptions) addRoles(m map[string]any) {
	for name, tok := range map[string]string{"bos_token_id": o.Roles.BOS, "eos_token_id": o.Roles.EOS, "pad_token_id": o.Roles.PAD} {
		m[name] = nil
		if tok != "" {
			m[name] = slices.Index(o.Specials, tok)
		}
	}
}

// config is the text of config.json, in the published spelling.
func (o *NewOptions) config() ([]byte, error) {
	a, err := find(o.ModelType)
	if err != nil {
		return nil, err
	}
	m := map[string]any{
		"model_type": o.ModelType, "architectures": []string{a.class}, "vocab_size": o.VocabSize,
		"hidden_size": o.HiddenSize, "intermediate_size": o.IntermediateSize, "num_hidden_layers": o.NumHiddenLayers,
		"num_attention_heads": o.NumAttentionHeads, "num_key_value_heads": o.NumKeyValueHeads, "head_dim": o.HeadDim,
		"hidden_act": "silu", "max_position_embeddings": o.MaxPositionEmbeddings, "rms_norm_eps": 1e-5,
		"initializer_range": o.InitializerRange, "attention_dropout": 0.0, "rope_theta": o.RopeTheta, "rope_scaling": nil,
		"tie_word_embeddings": !o.Untied, "torch_dtype": o.Dtype.String(), "use_cache": true,
	}
	o.addRoles(m)
	switch o.ModelType {
	case "mistral":
		m["sliding_window"] = nil
		if o.SlidingWindow > 0 {
			m["sliding_window"] = o.SlidingWindow
		}
	case "qwen2", "qwen3":
		m["use_sliding_window"] = o.SlidingWindow > 0
		if o.SlidingWindow > 0 {
			m["sliding_window"], m["max_window_layers"] = o.SlidingWindow, 0
		}
	}
	return indented(m)
}

// checkWindow refuses a window that no layer of the architecture has: it would be ignored.
func (o *NewOptions) checkWindow(c *Config) error {
	a, err := find(c.ModelType)
	if err != nil || o.SlidingWindow == 0 {
		return err
	}
	for i := range c.NumHiddenLayers {
		if a.block(c, i).Window == o.SlidingWindow {
			return nil
		}
	}
	return fmt.Errorf("sliding_window with model_type %s is %w; take mistral", c.ModelType, ErrUnsupported)
}

// random makes the weights, each from its own numbers.
func random(c *Config, seed uint64, d kernels.Dtype) ([]Weight, error) {
	ts, err := c.Tensors()
	if err != nil {
		return nil, err
	}
	var ws []Weight
	for _, t := range ts {
		f := make([]byte, 0, 4*elements(t.Shape))
		r := rng.New(seed, rng.Hash(t.Name))
		for range elements(t.Shape) {
			v := 1.0 // a norm's
			switch {
			case strings.HasSuffix(t.Name, ".bias"):
				v = 0
			case len(t.Shape) > 1:
				v = c.InitializerRange * r.Norm()
			}
			f = binary.LittleEndian.AppendUint32(f, math.Float32bits(float32(v)))
		}
		w := Weight{Name: t.Name, Dtype: kernels.Float32, Shape: t.Shape, Data: f}
		if w.Data, err = w.As(d); err != nil {
			return nil, err
		}
		w.Dtype = d
		ws = append(ws, w)
	}
	return ws, nil
}
