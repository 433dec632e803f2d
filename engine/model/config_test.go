package model

import (
	"errors"
	"strings"
	"testing"
)

const smallest = `"vocab_size":8,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":2,"num_attention_heads":4`

func TestConfigDefaults(t *testing.T) {
	for _, c := range []struct {
		text       string
		kv, dh     int
		window     int // of layer 1
		theta, eps float64
	}{
		{`{"model_type":"llama",` + smallest + `}`, 4, 2, 0, 10000, 1e-6},
		{`{"model_type":"llama",` + smallest + `,"head_dim":null,"num_key_value_heads":null,"rope_theta":5}`, 4, 2, 0, 5, 1e-6},
		{`{"model_type":"llama",` + smallest + `,"rope_theta":5,"rope_parameters":{"rope_type":"default","rope_theta":7}}`, 4, 2, 0, 7, 1e-6},
		{`{"model_type":"mistral",` + smallest + `,"num_key_value_heads":2}`, 2, 2, 4096, 10000, 1e-6},
		{`{"model_type":"mistral",` + smallest + `,"num_key_value_heads":2,"sliding_window":null}`, 2, 2, 0, 10000, 1e-6},
		{`{"model_type":"qwen2",` + smallest + `,"num_key_value_heads":1,"sliding_window":9}`, 1, 2, 0, 10000, 1e-6},
		{`{"model_type":"qwen2",` + smallest + `,"num_key_value_heads":1,"sliding_window":9,"use_sliding_window":true,"max_window_layers":1}`, 1, 2, 9, 10000, 1e-6},
		{`{"model_type":"qwen3",` + smallest + `,"num_key_value_heads":1,"rms_norm_eps":0.5}`, 1, 128, 0, 10000, 0.5},
	} {
		cfg, err := ParseConfig([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		a, _ := find(cfg.ModelType)
		r, _ := cfg.rope()
		got := a.block(cfg, 1).Window
		if cfg.NumKeyValueHeads != c.kv || cfg.HeadDim != c.dh || got != c.window || cfg.RMSNormEps != c.eps {
			t.Errorf("%s: KV %d, Dh %d, window %d, eps %g; want %+v", c.text, cfg.NumKeyValueHeads, cfg.HeadDim, got, cfg.RMSNormEps, c)
		}
		if c.dh == 128 { // theta shows in the second frequency
			continue
		}
		if len(r.InvFreq) != c.dh/2 || r.InvFreq[0] != 1 {
			t.Errorf("%s: frequencies %v", c.text, r.InvFreq)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	ok := `{"model_type":"llama",` + smallest
	for _, c := range []struct{ text, want string }{
		{`{`, "unexpected end"},
		{`{}`, "model_type is missing"},
		{`{"model_type":"gpt2"}`, `"gpt2" is not supported; there are llama, mistral, qwen2, qwen3`},
		{`{"model_type":"llama"}`, "vocab_size is 0"},
		{`{"model_type":"llama"}`, "num_attention_heads is 0"}, // all of them in one error
		{ok + `,"num_key_value_heads":3}`, "num_attention_heads (4) must be a multiple of num_key_value_heads (3)"},
		{ok + `,"head_dim":3}`, "head_dim (3)"},
		{ok + `,"hidden_act":"relu"}`, `hidden_act "relu"`},
		{ok + `,"rope_scaling":{"type":"yarn","factor":2}}`, `rope type "yarn" is not supported; there are default, linear, llama3`},
		{ok + `,"rope_scaling":{"type":"linear"}}`, "factor is missing"},
		{ok + `,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4}}`, "low_freq_factor (4) must be below"},
		{ok + `,"rope_theta":0}`, "rope_theta is 0"},
		{ok + `,"partial_rotary_factor":0.5}`, "partial_rotary_factor 0.5"},
		{ok + `,"attention_dropout":0.1}`, "attention_dropout 0.1"},
		{ok + `,"quantization_config":{"bits":4}}`, "quantization_config"},
		{ok + `,"num_hidden_layers":100000}`, "num_hidden_layers is 100000"},
		{ok + `,"layer_types":["full_attention"]}`, "layer_types has 1 entries"},
		{ok + `,"layer_types":["full_attention","linear_attention"]}`, `"linear_attention"`},
		{ok + `,"layer_types":["full_attention","sliding_attention"]}`, "contradicts"},
		{ok + `,"rms_norm_eps":0}`, "rms_norm_eps"},
		{`{"model_type":"mistral",` + smallest + `,"num_key_value_heads":4,"sliding_window":-1}`, "sliding_window is -1"},
	} {
		if _, err := ParseConfig([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want %q", c.text, err, c.want)
		}
	}
	if _, err := ParseConfig([]byte(`{"model_type":"gpt2"}`)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("not ErrUnsupported: %v", err)
	}
}

// FuzzParseConfig: whatever the text, an error or a config whose graph can be built.
func FuzzParseConfig(f *testing.F) {
	f.Add(`{"model_type":"llama",` + smallest + `}`)
	f.Add(`{"model_type":"qwen3",` + smallest + `,"rope_scaling":{"type":"linear","factor":2}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig([]byte(text))
		if err != nil || c.NumHiddenLayers > 4 {
			return
		}
		if _, err := c.Tensors(); err != nil {
			t.Errorf("%s: accepted, but %v", text, err)
		}
	})
}
