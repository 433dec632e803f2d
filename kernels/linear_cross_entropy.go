package kernels

// LinearCrossEntropy: see docs/ARCHITECTURE.md for inputs and outputs.
type LinearCrossEntropy struct{ SoftCap float64 }

// Name implements Kernel.
func (LinearCrossEntropy) Name() string { return "linear_cross_entropy" }
