//go:build !gpu

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"attune/engine/session"
	"attune/internal/nvidia"
)

// cudaName is the program that computes on GPUs. It is linked to the driver and cannot start without one, so attune is what
// people start, and attune-cuda takes its place where a GPU is to be used.
const cudaName = "attune-cuda"

// handOver becomes attune-cuda where the device is cuda, or is auto and a GPU can be used: the same process with the same
// arguments, variables and streams. It is called before anything was read from a stream, locked or written. It returns where
// the processor is to be used, and refuses cuda with an ErrNoDevice where there is no GPU to use.
func handOver(ctx context.Context, s streams, device string) error {
	switch device {
	case "cuda", "auto", "":
		return handOverTo(ctx, s, device, searchGPUs())
	}
	return nil // cpu, or nothing there is, which OpenDevice refuses
}

// handOverTo is handOver to what was found.
func handOverTo(ctx context.Context, s streams, device string, found gpuSearch) error {
	switch {
	case device == "cpu":
		return nil
	case found.err == nil:
		return become(ctx, found.program)
	case device == "cuda":
		return found.refuse()
	case len(found.driver.GPUs) > 0:
		fmt.Fprintln(s.err, "attune: a GPU is here and is not used:", found.why())
	case errors.Is(found.err, nvidia.ErrDriver):
		fmt.Fprintln(s.err, "attune: no GPU is used:", found.why())
	}
	return nil
}

// cudaProgram is where attune-cuda is: beside this program, whatever links lead to it.
func cudaProgram() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the program: %w", err)
	}
	if own, err = filepath.EvalSymlinks(own); err != nil {
		return "", fmt.Errorf("find the program: %w", err)
	}
	path := filepath.Join(filepath.Dir(own), cudaName)
	if st, err := os.Stat(path); err != nil || st.IsDir() || st.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s, which computes on GPUs, is not beside attune in %s", cudaName, filepath.Dir(own))
	}
	return path, nil
}

// become replaces the process, which keeps its id. Signals that it was started to ignore stay ignored; the others are as the
// system has them until the new program asks for them, so that one that comes meanwhile ends it: nothing is to be saved yet.
func become(ctx context.Context, program string) error {
	signal.Reset(syscall.SIGHUP, os.Interrupt, syscall.SIGTERM)
	if err := ctx.Err(); err != nil {
		return err
	}
	err := os.Setenv(handedOverBy, readBuildInfo().String()) // in place of what another attune may have left there
	if err == nil {
		err = syscall.Exec(program, os.Args, os.Environ())
	}
	return fmt.Errorf("device cuda: %w: start %s: %w", session.ErrNoDevice, program, err)
}
