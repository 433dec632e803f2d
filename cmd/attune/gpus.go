package main

import (
	"errors"
	"fmt"
	"io"

	"attune/engine/session"
	"attune/internal/nvidia"
	"attune/kernels/cuda/cubin"
)

// gpuSearch is what was found of NVIDIA's on this machine. The GPU that is taken is the driver's first.
type gpuSearch struct {
	driver  nvidia.Driver
	program string // that computes on GPUs; empty where it is not there
	err     error  // why no GPU can be used; nil = one can
	cure    string // of that
}

// searchGPUs asks the driver, without taking anything of a GPU.
func searchGPUs() (g gpuSearch) {
	var missing error
	g.driver, g.err = nvidia.Probe()
	g.program, missing = cudaProgram()
	switch {
	case errors.Is(g.err, nvidia.ErrNoDriver):
		g.cure = "install NVIDIA's driver (for a container: start it with --gpus all)"
	case g.err == nil:
		if g.cure, g.err = suits(g.driver); g.err == nil && missing != nil {
			g.err, g.cure = missing, "make cuda builds both"
		}
	case g.driver.CUDA != 0 && g.driver.CUDA < oldest: // which may be why it fails
		g.err, g.cure = fmt.Errorf("%w; %w", g.err, old(g.driver, oldest)), update
	}
	return g
}

// oldest is the first CUDA version whose drivers take our machine code, and oldestPTX that of our PTX.
const oldest, oldestPTX nvidia.Version = 12000, 12090

const update = "update the driver"

// suits says why the first GPU cannot be used, with the cure.
func suits(d nvidia.Driver) (cure string, why error) {
	first := d.GPUs[0]
	arch, err := cubin.For(first.CC)
	switch {
	case err != nil:
		for i, g := range d.GPUs {
			if _, other := cubin.For(g.CC); other == nil {
				cure = fmt.Sprintf("set CUDA_VISIBLE_DEVICES=%d, which is %s", i, g.Name)
				break
			}
		}
		return cure, fmt.Errorf("%s is of %w", first.Name, err)
	case d.CUDA < oldest:
		return update, old(d, oldest)
	case arch == cubin.PTX && d.CUDA < oldestPTX:
		return update, fmt.Errorf("%s: %w", first.Name, old(d, oldestPTX))
	}
	return "", nil
}

func old(d nvidia.Driver, wanted nvidia.Version) error {
	release := d.Release
	if release != "" {
		release = " " + release
	}
	return fmt.Errorf("the driver%s takes CUDA up to %v, and %v is needed", release, d.CUDA, wanted)
}

// why is err with the cure.
func (g gpuSearch) why() string {
	if g.cure == "" {
		return harmless(g.err.Error())
	}
	return harmless(g.err.Error() + "; " + g.cure)
}

// refuse is the error where a GPU was asked for.
func (g gpuSearch) refuse() error {
	cure := "take device cpu"
	if g.cure != "" {
		cure = g.cure + ", or " + cure
	}
	return fmt.Errorf("device cuda: %w: %w; %s", session.ErrNoDevice, g.err, cure)
}

// handedOverBy names the variable by which attune-cuda knows the build of the attune that it took the place of.
const handedOverBy = "ATTUNE_HANDED_OVER_BY"

// warnOfDevice says what is not as it should be of a device that was opened.
func warnOfDevice(w io.Writer, d *session.Device) {
	if d.Warning != "" {
		fmt.Fprintln(w, "attune:", harmless(d.Warning))
	}
}
