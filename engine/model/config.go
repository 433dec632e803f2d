// Package model knows the architectures: one file each, named after config.json's model_type. It reads a Hugging Face
// directory (config.json, safetensors), builds the graph of a training step or of generation
// through engine/nn, and makes small random models. Names of fields and weights are Hugging Face's.
package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"attune/internal/smallfile"
)

// ErrUnsupported marks models that are well-formed but use something attune does not have.
var ErrUnsupported = errors.New("not supported")

// Config is config.json. A pointer is a field whose absence or null means something.
type Config struct {
	ModelType             string   `json:"model_type"`
	Architectures         []string `json:"architectures"`
	VocabSize             int      `json:"vocab_size"`              // V
	HiddenSize            int      `json:"hidden_size"`             // D
	IntermediateSize      int      `json:"intermediate_size"`       // F
	NumHiddenLayers       int      `json:"num_hidden_layers"`       // L
	NumAttentionHeads     int      `json:"num_attention_heads"`     // H
	NumKeyValueHeads      int      `json:"num_key_value_heads"`     // KV; default H, or the architecture's
	HeadDim               int      `json:"head_dim"`                // Dh; default D/H, or the architecture's
	HiddenAct             string   `json:"hidden_act"`              // default silu
	MaxPositionEmbeddings int      `json:"max_position_embeddings"` // the context the model was made for
	RMSNormEps            float64  `json:"rms_norm_eps"`            // default 1e-6
	TieWordEmbeddings     bool     `json:"tie_word_embeddings"`     // default false
	AttentionBias         bool     `json:"attention_bias"`          // llama, qwen3: on q, k, v and o
	MLPBias               bool     `json:"mlp_bias"`                // llama: on gate, up and down
	AttentionDropout      float64  `json:"attention_dropout"`
	InitializerRange      float64  `json:"initializer_range"` // default 0.02
	SlidingWindow         *int     `json:"sliding_window"`
	UseSlidingWindow      bool     `json:"use_sliding_window"` // qwen2, qwen3
	MaxWindowLayers       int      `json:"max_window_layers"`  // layers from here on have the window; default 28
	LayerTypes            []string `json:"layer_types"`        // full_attention | sliding_attention
	RopeTheta             *float64 `json:"rope_theta"`
	RopeScaling           *Rope    `json:"rope_scaling"`    // published models: beside rope_theta
	RopeParameters        *Rope    `json:"rope_parameters"` // transformers 5: both in one
	PartialRotaryFactor   *float64 `json:"partial_rotary_factor"`

	QuantizationConfig json.RawMessage `json:"quantization_config"`
}

// Rope is a rotary embedding's type and its numbers.
type Rope struct {
	RopeType                      string   `json:"rope_type"`
	Type                          string   `json:"type"` // older spelling of RopeType
	RopeTheta                     *float64 `json:"rope_theta"`
	Factor                        *float64 `json:"factor"`
	LowFreqFactor                 *float64 `json:"low_freq_factor"`
	HighFreqFactor                *float64 `json:"high_freq_factor"`
	OriginalMaxPositionEmbeddings *float64 `json:"original_max_position_embeddings"`
	PartialRotaryFactor           *float64 `json:"partial_rotary_factor"`
}

// Bounds against broken files: config.json and its like are small, and models have hundreds of layers at most.
const (
	maxConfig = 4 << 20 // bytes
	maxLayers = 1024
)

// ReadConfig reads dir/config.json.
func ReadConfig(dir string) (*Config, error) {
	b, err := smallfile.Read(filepath.Join(dir, "config.json"), maxConfig)
	if err != nil {
		return nil, fmt.Errorf("load config: %w", err)
	}
	c, err := ParseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("load config %s: %w", filepath.Join(dir, "config.json"), err)
	}
	return c, nil
}

// ParseConfig reads the text of a config.json, fills in the architecture's defaults and checks all of it: every
// complaint comes in one error.
func ParseConfig(b []byte) (*Config, error) {
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return nil, err
	}
	if kind.ModelType == "" {
		return nil, errors.New("model_type is missing")
	}
	a, err := find(kind.ModelType)
	if err != nil {
		return nil, err
	}
	c := a.defaults()
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	if c.HeadDim == 0 && c.NumAttentionHeads > 0 {
		c.HeadDim = c.HiddenSize / c.NumAttentionHeads
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	return &c, c.check()
}

// check lists everything about the config that is wrong or not supported.
func (c *Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range []struct {
		name string
		v    int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim},
	} {
		if f.v <= 0 || f.v > 1<<24 {
			bad("%s is %d; it must lie between 1 and %d", f.name, f.v, 1<<24)
		}
	}
	if c.NumHiddenLayers > maxLayers {
		bad("num_hidden_layers is %d; at most %d are expected", c.NumHiddenLayers, maxLayers)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if c.NumAttentionHeads%c.NumKeyValueHeads != 0 {
		bad("num_attention_heads (%d) must be a multiple of num_key_value_heads (%d)", c.NumAttentionHeads, c.NumKeyValueHeads)
	}
	if c.HeadDim%2 != 0 {
		bad("head_dim (%d) must be even for rotary embeddings", c.HeadDim)
	}
	if !(c.RMSNormEps > 0) {
		bad("rms_norm_eps is %g; it must be positive", c.RMSNormEps)
	}
	if _, err := c.act(); err != nil {
		bad("%w", err)
	}
	if _, err := c.rope(); err != nil {
		bad("%w", err)
	}
	if c.AttentionDropout != 0 {
		bad("attention_dropout %g is %w; set it to 0", c.AttentionDropout, ErrUnsupported)
	}
	if len(c.QuantizationConfig) > 0 && string(c.QuantizationConfig) != "null" {
		bad("quantization_config: quantized weights are %w; take the model's float16 or bfloat16 release", ErrUnsupported)
	}
	if n := len(c.LayerTypes); n > 0 && n != c.NumHiddenLayers {
		bad("layer_types has %d entries for num_hidden_layers %d", n, c.NumHiddenLayers)
	}
	a, err := find(c.ModelType)
	if err != nil {
		return err
	}
	for i, t := range c.LayerTypes {
		if t != full && t != sliding {
			bad("layer_types[%d] %q is %w; there are %s, %s", i, t, ErrUnsupported, full, sliding)
			break
		}
		if i < c.NumHiddenLayers && (a.block(c, i).Window > 0) != (t == sliding) {
			bad("layer_types[%d] is %q, which model_type %s with sliding_window %s contradicts", i, t, c.ModelType, optional(c.SlidingWindow))
			break
		}
	}
	if c.SlidingWindow != nil && *c.SlidingWindow <= 0 {
		bad("sliding_window is %d; it must be positive or null", *c.SlidingWindow)
	}
	return errors.Join(errs...)
}

// Names of layer_types.
const (
	full    = "full_attention"
	sliding = "sliding_attention"
)

// act translates hidden_act to the name of kernels.SwiGLU.
func (c *Config) act() (string, error) {
	switch c.HiddenAct {
	case "silu", "swish":
		return "silu", nil
	case "gelu", "gelu_python":
		return "gelu", nil
	case "gelu_pytorch_tanh", "gelu_new", "gelu_python_tanh":
		return "gelu_tanh", nil
	}
	return "", fmt.Errorf("hidden_act %q is %w; there are silu, gelu, gelu_pytorch_tanh", c.HiddenAct, ErrUnsupported)
}

func optional(p *int) string {
	if p == nil {
		return "null"
	}
	return fmt.Sprint(*p)
}
