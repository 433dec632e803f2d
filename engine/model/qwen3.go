package model

// qwen3: Qwen3's dense models (arXiv:2505.09388): no biases, RMSNorm on every head's query and key before the rotary
// embedding, and a head size of its own.
func qwen3() architecture {
	return architecture{
		modelType: "qwen3",
		class:     "Qwen3ForCausalLM",
		defaults: func() Config {
			c := qwenDefaults()
			c.HeadDim = 128
			return c
		},
		block: func(c *Config, i int) block {
			return block{QKVBias: c.AttentionBias, OBias: c.AttentionBias, QKNorm: true, Window: qwenWindow(c, i)}
		},
	}
}
