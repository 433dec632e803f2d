//go:build gpu

package main

import (
	"context"
	"fmt"
	"os"

	"attune/engine/session"
)

// handOver refuses to go on for an attune of another build: the run would not be what was asked for.
func handOver(context.Context, streams, string) error {
	by, own := os.Getenv(handedOverBy), readBuildInfo().String()
	if by == "" || by == own {
		return nil
	}
	return fmt.Errorf("device cuda: %w: attune-cuda beside attune is of another build, %s, where attune is of %s; make cuda builds both alike", session.ErrNoDevice, own, by)
}

// handOverTo is the same.
func handOverTo(ctx context.Context, s streams, device string, _ gpuSearch) error {
	return handOver(ctx, s, device)
}

// cudaProgram is this one.
func cudaProgram() (string, error) { return os.Executable() }
