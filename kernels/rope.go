package kernels

// RoPE: see docs/ARCHITECTURE.md for inputs and outputs.
type RoPE struct {
	InvFreq []float64
	Scale   float64
	Inverse bool
}

// Name implements Kernel.
func (RoPE) Name() string { return "rope" }
