package kernels

// AdamW: see docs/ARCHITECTURE.md for inputs and outputs.
type AdamW struct{ Beta1, Beta2, Eps, WeightDecay float64 }

// Name implements Kernel.
func (AdamW) Name() string { return "adamw" }
