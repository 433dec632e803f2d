package kernels

// All lists every kernel once, with example attributes: a backend's table and the suites are held against it.
func All() []Kernel {
	return []Kernel{
		Embed{}, EmbedBwd{},
		RMSNorm{}, RMSNormBwd{},
		Linear{}, LinearBwd{},
		RoPE{},
		Attention{}, AttentionBwd{}, AttentionCached{},
		SwiGLU{}, SwiGLUBwd{},
		Add{}, ScaleBy{}, Rows{},
		LinearCrossEntropy{},
		AdamW{}, SumSq{}, Accumulate{}, Zero{},
	}
}
