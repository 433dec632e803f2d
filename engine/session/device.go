package session

import (
	"errors"
	"fmt"
	"strings"

	"attune/engine/exec"
	cpubackend "attune/engine/exec/cpu"
	"attune/kernels"
	"attune/kernels/cpu"
)

// ErrNoDevice marks a device that was asked for and is not there.
var ErrNoDevice = errors.New("no such device")

// Device is a backend with what a session asks of it besides.
type Device struct {
	exec.Backend
	// Wrap makes a mapped file's bytes a read-only buffer without copying; nil where the device has memory of its own.
	Wrap func(data []byte, d kernels.Dtype) exec.Buffer
	// Bytes is the memory of an operand, to be written in place; nil where it cannot be reached.
	Bytes func(o exec.Operand) []byte
	// Resident is what the device's kernels hold besides all buffers, in bytes.
	Resident int64
	// BFloat16 is whether products of bfloat16 are faster than those of float32.
	BFloat16 bool
	// Tuned is whether the kernels are the tuned ones rather than plain Go.
	Tuned bool
	// Discrete is whether the device has memory apart from the host's.
	Discrete bool
	// Footprint is the device memory, in bytes, that buffers of such sizes take in all; nil where it is their sum.
	Footprint func(sizes []int64) int64
	// HostAlloc makes host memory that is copied from the device at full speed: zeroed, outside the Go heap; free gives it
	// back. Nil where the device's own memory serves.
	HostAlloc func(bytes int64) (memory []byte, free func() error, err error)
	// Lengths is the row length in tokens that a row of so many is computed at, where most is the longest there is: fewer
	// lengths, fewer programs. Nil where every length is taken as it is.
	Lengths func(tokens, most int) int
	// Why says how the device was chosen.
	Why string
	// Warning is what the user should be told of it, once; empty where all is as it should be.
	Warning string
}

// OpenDevice opens "cpu", "cuda" or "auto": the processor with so many threads (0 = all cores), or a GPU. What is asked for
// and missing is an ErrNoDevice; auto takes a GPU where this build of attune is the one for GPUs.
func OpenDevice(name string, threads int) (*Device, error) {
	switch name {
	case "cpu":
		return openCPU(threads, "asked for")
	case "cuda":
		return openCUDA("asked for")
	case "auto", "":
		if forGPUs {
			return openCUDA("a GPU is here")
		}
		return openCPU(threads, "this build of attune computes on the processor only")
	}
	return nil, fmt.Errorf("device %q: %w; there are auto, cpu, cuda", name, ErrNoDevice)
}

func openCPU(threads int, why string) (*Device, error) {
	b, err := cpubackend.New(cpu.Options{Threads: threads})
	if err != nil {
		return nil, err
	}
	return &Device{Backend: b, Wrap: cpubackend.Wrap, Bytes: cpubackend.Bytes, Resident: b.Resident(),
		BFloat16: strings.HasSuffix(b.Name(), "bf16"), Tuned: !strings.HasSuffix(b.Name(), " go"), Why: why}, nil
}

// Dtype resolves the name of a dtype: auto is bfloat16 where the device is faster with it.
func (d *Device) Dtype(name string) (kernels.Dtype, error) {
	switch {
	case name == "float32" || (name == "auto" || name == "") && !d.BFloat16:
		return kernels.Float32, nil
	case name == "bfloat16" || name == "auto" || name == "":
		return kernels.BFloat16, nil
	}
	return 0, fmt.Errorf("dtype %q: there are auto, float32, bfloat16", name)
}
