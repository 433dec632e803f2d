package model

import (
	"fmt"
	"strings"
)

// architecture is what an architecture's file says: all are decoders of the same plan (decoder.go), which differ in
// block. A new one is a file and a line of the table: docs/adding-a-model.md.
type architecture struct {
	modelType string // config.json's model_type, and the file's name
	class     string // config.json's architectures[0]
	// defaults are the values of fields that config.json does not have.
	defaults func() Config
	// block says what layer i has.
	block func(c *Config, i int) block
}

// architectures lists every architecture there is.
func architectures() []architecture {
	return []architecture{llama(), mistral(), qwen2(), qwen3()}
}

// Types are the model_types there are.
func Types() []string {
	var ts []string
	for _, a := range architectures() {
		ts = append(ts, a.modelType)
	}
	return ts
}

func find(modelType string) (architecture, error) {
	for _, a := range architectures() {
		if a.modelType == modelType {
			return a, nil
		}
	}
	return architecture{}, fmt.Errorf("model_type %q is %w; there are %s", modelType, ErrUnsupported, strings.Join(Types(), ", "))
}

// common are the defaults that all architectures share.
func common() Config {
	return Config{HiddenAct: "silu", RMSNormEps: 1e-6, InitializerRange: 0.02, MaxWindowLayers: 28}
}
