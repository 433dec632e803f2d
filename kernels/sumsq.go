package kernels

// SumSq: see docs/ARCHITECTURE.md for inputs and outputs.
type SumSq struct{}

// Name implements Kernel.
func (SumSq) Name() string { return "sumsq" }
