package kernels

// ScaleBy: see docs/ARCHITECTURE.md for inputs and outputs.
type ScaleBy struct{}

// Name implements Kernel.
func (ScaleBy) Name() string { return "scaleby" }
