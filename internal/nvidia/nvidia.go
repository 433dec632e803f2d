// Package nvidia asks a machine for its NVIDIA GPUs and for the libraries that computing on them wants. The driver is opened
// while the program runs, so that the program starts where there is none, and no context is made: asking takes no memory of a
// GPU.
package nvidia

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

var (
	// ErrNoDriver marks a machine on which the driver cannot be opened.
	ErrNoDriver = errors.New("no NVIDIA driver")
	// ErrNoGPU marks a machine whose driver shows no GPU.
	ErrNoGPU = errors.New("no NVIDIA GPU to be seen")
	// ErrDriver marks a machine whose driver does not answer: there may be a GPU.
	ErrDriver = errors.New("NVIDIA's driver fails")
)

// Driver is what the driver tells.
type Driver struct {
	CUDA    Version // the newest that it takes
	Release string  // of the driver itself, such as 580.65.06; empty where the system does not tell
	GPUs    []GPU   // in the driver's order, which CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER decide
}

// GPU is one of them.
type GPU struct {
	Name   string
	CC     int   // compute capability, 10 major + minor
	Memory int64 // in all, in bytes
}

// Capability is the compute capability as it is written: 9.0.
func (g GPU) Capability() string { return fmt.Sprintf("%d.%d", g.CC/10, g.CC%10) }

// Version is one of CUDA, 1000 major + 10 minor.
type Version int

func (v Version) String() string { return fmt.Sprintf("%d.%d", v/1000, v/10%100) }

var releaseLine = regexp.MustCompile(`(?m)^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s`)

// release is the version of the kernel's module.
func release() string {
	b, err := os.ReadFile("/proc/driver/nvidia/version")
	if err != nil {
		return ""
	}
	if m := releaseLine.FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return ""
}

// visible says what keeps GPUs from being seen, as the end of a sentence.
func visible() string {
	if v, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); set {
		return fmt.Sprintf(" (CUDA_VISIBLE_DEVICES is %q)", v)
	}
	return ""
}
