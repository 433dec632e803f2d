//go:build gpu

package session

import (
	"errors"
	"fmt"

	"attune/engine/exec"
	"attune/engine/exec/cuda"
	"attune/internal/nvidia"
)

// forGPUs is whether this build of attune computes on GPUs.
const forGPUs = true

// openCUDA opens the first GPU that the driver shows.
func openCUDA(why string) (*Device, error) {
	if _, err := nvidia.Probe(); err != nil { // which says more than the driver's own error
		return nil, fmt.Errorf("device cuda: %w: %w", ErrNoDevice, err)
	}
	b, err := cuda.New(cuda.Options{})
	switch {
	case errors.Is(err, exec.ErrMemory):
		return nil, fmt.Errorf("device cuda: %w; nvidia-smi shows what else uses the GPU", err)
	case err != nil:
		return nil, fmt.Errorf("device cuda: %w: %w", ErrNoDevice, err)
	}
	return &Device{Backend: b, Resident: b.Resident(), BFloat16: true, Tuned: true, Discrete: true, Footprint: cuda.Footprint,
		HostAlloc: b.HostAlloc, Lengths: eighths, Why: why, Warning: b.Warning()}, nil
}

// eighths rounds the tokens of a row up to a multiple of an eighth of the most, itself a multiple of 64, so that rows have
// few lengths and each needs a recording of its own; never above the most.
func eighths(tokens, most int) int {
	step := max(64, (most+511)/512*64)
	return max(tokens, min(most, (tokens+step-1)/step*step))
}
