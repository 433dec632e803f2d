package kernels

// Linear: see docs/ARCHITECTURE.md for inputs and outputs.
type Linear struct {
	Bias    bool
	Rank    int
	Scale   float64
	Dropout float64
	Salt    uint32
}

// Name implements Kernel.
func (Linear) Name() string { return "linear" }

// LinearBwd: see docs/ARCHITECTURE.md for inputs and outputs.
type LinearBwd struct {
	Bias    bool
	Rank    int
	Scale   float64
	Dropout float64
	Salt    uint32
}

// Name implements Kernel.
func (LinearBwd) Name() string { return "linear_bwd" }
