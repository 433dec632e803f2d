package kernels

// RMSNorm: see docs/ARCHITECTURE.md for inputs and outputs.
type RMSNorm struct{ Eps float64 }

// Name implements Kernel.
func (RMSNorm) Name() string { return "rmsnorm" }

// RMSNormBwd: see docs/ARCHITECTURE.md for inputs and outputs.
type RMSNormBwd struct{}

// Name implements Kernel.
func (RMSNormBwd) Name() string { return "rmsnorm_bwd" }
