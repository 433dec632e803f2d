package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// shapes are the sizes of published models, by the names of their config.json; what is not here has the architecture's
// default. Benchmarks run on them without a file of the model.
var shapes = map[string]map[string]any{
	"llama3-8b": {"model_type": "llama", "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
		"num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0},
	"qwen2.5-7b": {"model_type": "qwen2", "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
		"num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e6},
	"qwen2.5-1.5b": {"model_type": "qwen2", "vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
		"num_attention_heads": 12, "num_key_value_heads": 2, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
		"tie_word_embeddings": true},
	"smollm2-135m": {"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
		"num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000.0,
		"tie_word_embeddings": true},
	"tiny": {"model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "tie_word_embeddings": true},
}

// Shapes are the names that Shape knows, in order.
func Shapes() []string {
	var names []string
	for name := range shapes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Shape is the text of a published model's config.json as far as its sizes go. "tiny" is attune's own, to try things with.
func Shape(name string) ([]byte, error) {
	m, ok := shapes[name]
	if !ok {
		return nil, fmt.Errorf("no shape %q; there are %s", name, strings.Join(Shapes(), ", "))
	}
	return json.MarshalIndent(m, "", "  ")
}
