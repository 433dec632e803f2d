package kernels

// SwiGLU: see docs/ARCHITECTURE.md for inputs and outputs.
type SwiGLU struct{ Act string }

// Name implements Kernel.
func (SwiGLU) Name() string { return "swiglu" }

// SwiGLUBwd: see docs/ARCHITECTURE.md for inputs and outputs.
type SwiGLUBwd struct{ Act string }

// Name implements Kernel.
func (SwiGLUBwd) Name() string { return "swiglu_bwd" }
