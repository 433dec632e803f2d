package model

// qwen2: Qwen2 and Qwen2.5 (arXiv:2407.10671, arXiv:2412.15115): Llama with biases on q, k and v, and, where
// use_sliding_window is set, a window on the upper layers.
func qwen2() architecture {
	return architecture{
		modelType: "qwen2",
		class:     "Qwen2ForCausalLM",
		defaults:  qwenDefaults,
		block: func(c *Config, i int) block {
			return block{QKVBias: true, Window: qwenWindow(c, i)}
		},
	}
}

func qwenDefaults() Config {
	c := common()
	window := 4096
	c.MaxPositionEmbeddings, c.NumKeyValueHeads, c.SlidingWindow = 32768, 32, &window
	return c
}

// qwenWindow is layer i's window, 0 = none: as layer_types says, or else from max_window_layers on.
func qwenWindow(c *Config, i int) int {
	if !c.UseSlidingWindow || c.SlidingWindow == nil {
		return 0
	}
	if i < len(c.LayerTypes) {
		if c.LayerTypes[i] == sliding {
			return *c.SlidingWindow
		}
		return 0
	}
	if i >= c.MaxWindowLayers {
		return *c.SlidingWindow
	}
	return 0
}
