package model

// llama: Llama 1 to 3 (arXiv:2302.13971, arXiv:2407.21783) and what is built alike, such as SmolLM and TinyLlama.
func llama() architecture {
	return architecture{
		modelType: "llama",
		class:     "LlamaForCausalLM",
		defaults: func() Config {
			c := common()
			c.MaxPositionEmbeddings = 2048
			return c
		},
		block: func(c *Config, _ int) block {
			return block{QKVBias: c.AttentionBias, OBias: c.AttentionBias, MLPBias: c.MLPBias}
		},
	}
}
