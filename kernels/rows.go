package kernels

// Rows: see docs/ARCHITECTURE.md for inputs and outputs.
type Rows struct{}

// Name implements Kernel.
func (Rows) Name() string { return "rows" }
