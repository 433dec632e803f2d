package kernels

// AttentionCached: see docs/ARCHITECTURE.md for inputs and outputs.
type AttentionCached struct {
	Scale   float64
	Window  int
	SoftCap float64
}

// Name implements Kernel.
func (AttentionCached) Name() string { return "attention_cached" }
