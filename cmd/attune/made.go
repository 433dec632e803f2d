package main

import (
	"strings"

	"attune/engine/checkpoint"
	"attune/internal/config"
)

// made is what writes the checkpoints of this part of the run.
func (j *job) made() checkpoint.Made {
	device, isa, _ := strings.Cut(j.device.Name(), " ")
	return checkpoint.Made{Attune: readBuildInfo().String(), Device: device, ISA: isa, Threads: j.cfg.Compute.Threads, MicroBatchTokens: j.micro}
}

// recipeText is the run file as it was understood, with every default filled in and paths that do not depend on where the
// command was given.
func (j *job) recipeText() string {
	c := j.understood()
	c.Absolute()
	return string(c.YAML(false))
}

// understood is the run file with the dtype that auto means on this machine.
func (j *job) understood() config.Config {
	c := j.cfg
	c.Compute.Dtype = j.dtype.String()
	return c
}
