package kernels

// Accumulate: see docs/ARCHITECTURE.md for inputs and outputs.
type Accumulate struct{}

// Name implements Kernel.
func (Accumulate) Name() string { return "accumulate" }

// Zero: see docs/ARCHITECTURE.md for inputs and outputs.
type Zero struct{}

// Name implements Kernel.
func (Zero) Name() string { return "zero" }
