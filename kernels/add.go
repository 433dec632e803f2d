package kernels

// Add: see docs/ARCHITECTURE.md for inputs and outputs.
type Add struct{}

// Name implements Kernel.
func (Add) Name() string { return "add" }
