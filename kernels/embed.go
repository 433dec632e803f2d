package kernels

// Embed: see docs/ARCHITECTURE.md for inputs and outputs.
type Embed struct{}

// Name implements Kernel.
func (Embed) Name() string { return "embed" }

// EmbedBwd: see docs/ARCHITECTURE.md for inputs and outputs.
type EmbedBwd struct{}

// Name implements Kernel.
func (EmbedBwd) Name() string { return "embed_bwd" }
