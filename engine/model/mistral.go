package model

// mistral: Mistral 7B (arXiv:2310.06825): Llama with a sliding attention window on every layer, where config.json
// does not set it to null.
func mistral() architecture {
	return architecture{
		modelType: "mistral",
		class:     "MistralForCausalLM",
		defaults: func() Config {
			c := common()
			window := 4096
			c.MaxPositionEmbeddings, c.NumKeyValueHeads, c.SlidingWindow = 4096*32, 8, &window
			return c
		},
		block: func(c *Config, _ int) block {
			b := block{}
			if c.SlidingWindow != nil {
				b.Window = *c.SlidingWindow
			}
			return b
		},
	}
}
