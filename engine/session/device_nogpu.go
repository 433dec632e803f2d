//go:build !gpu

package session

import "fmt"

// forGPUs is whether this build of attune computes on GPUs.
const forGPUs = false

func openCUDA(string) (*Device, error) {
	return nil, fmt.Errorf("device cuda: %w: this build of attune computes on the processor only; take cpu, or build attune-cuda with make cuda", ErrNoDevice)
}
