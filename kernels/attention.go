package kernels

// Attention: see docs/ARCHITECTURE.md for inputs and outputs.
type Attention struct {
	Scale   float64
	Window  int
	SoftCap float64
}

// Name implements Kernel.
func (Attention) Name() string { return "attention" }

// AttentionBwd: see docs/ARCHITECTURE.md for inputs and outputs.
type AttentionBwd struct {
	Scale   float64
	Window  int
	SoftCap float64
}

// Name implements Kernel.
func (AttentionBwd) Name() string { return "attention_bwd" }
