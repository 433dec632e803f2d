//go:build gpu

package cuda

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"attune/engine/exec"
	"attune/internal/nvidia"
	"attune/kernels/cuda"
	"attune/kernels/cuda/cubin"

	"gorgonia.org/cu"
)

// Options is which GPU a backend takes, and what it may use of it. The zero value is the usual.
type Options struct {
	// Device is the ordinal among the GPUs that the driver shows, which CUDA_VISIBLE_DEVICES chooses.
	Device int
	// Path leaves out what the GPU could do: "sm80" the kernels for sm_90a alone, "own" cuBLASLt, "sm80,own" both. Empty is
	// what the variable PathEnv says.
	Path string
	// Libraries are the paths at which cuBLASLt may be; the first that opens is taken. None are nvidia.CublasLt's.
	Libraries []string
}

// PathEnv names the variable that stands for Options.Path.
const PathEnv = "ATTUNE_CUDA_PATH"

// New opens a GPU: its context, all kernels there are for it, cuBLASLt where it is found, and the slots that transfers
// pass through.
func New(o Options) (*Backend, error) {
	b := &Backend{worker: newWorker(), functions: map[string]*function{}}
	b.pool = pool{
		open: func(n int64) (uint64, error) { p, err := cu.MemAlloc(n); return uint64(p), err },
		shut: func(base uint64) error {
			if b.broken != nil {
				return nil // nothing can be given back any more; it goes with the context
			}
			return b.blame(cu.MemFree(cu.DevicePtr(base)))
		},
	}
	if err := b.do(func() error { return b.open(o) }); err != nil {
		return nil, errors.Join(fmt.Errorf("open GPU %d: %w", o.Device, err), b.Close())
	}
	return b, nil
}

// open runs on the worker. What it makes is undone by Close, the last first.
func (b *Backend) open(o Options) error {
	if o.Path == "" {
		o.Path = os.Getenv(PathEnv)
	}
	hopper, library := true, true
	for _, word := range strings.FieldsFunc(o.Path, func(r rune) bool { return r == ',' }) {
		switch word {
		case "sm80":
			hopper = false
		case "own":
			library = false
		default:
			return fmt.Errorf("%s: %q; there are sm80 (no kernels for Hopper alone) and own (no cuBLASLt)", PathEnv, word)
		}
	}
	if err := b.openGPU(o.Device); err != nil {
		return err
	}
	free, _, err := cu.MemInfo()
	if err != nil {
		return err
	}
	if b.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return fmt.Errorf("make a stream: %w", err)
	}
	b.onClose(b.stream.Destroy)
	if err := b.openModules(); err != nil {
		return err
	}
	if err := b.openRing(); err != nil {
		return err
	}
	matmul := "own products"
	if library {
		if len(o.Libraries) == 0 {
			o.Libraries = nvidia.CublasLt(nvidia.Version(cu.Version()))
		}
		err := b.openLt(o.Libraries)
		switch {
		case errors.Is(err, exec.ErrMemory):
			return err
		case err != nil:
			b.warning = fmt.Sprintf("matrix products by attune's own kernels, which are slower: no cuBLASLt opens; say by %s where it is (%v)", nvidia.LibrariesEnv, err)
		default:
			matmul = "cublasLt " + b.lt.version
		}
	}
	b.target = cuda.Target{CC: b.cc, Lt: b.lt != nil, Hopper: hopper && b.cc == 90, SMs: b.sms}
	left, _, err := cu.MemInfo()
	b.resident = free - left
	b.name = fmt.Sprintf("cuda %s, cc %d.%d, driver CUDA %v, %s", b.gpu, b.cc/10, b.cc%10, nvidia.Version(cu.Version()), matmul)
	if !hopper && b.cc == 90 {
		b.name += ", sm80 path"
	}
	return err
}

// openGPU makes the primary context of a GPU current, the one that libraries of CUDA's runtime share.
func (b *Backend) openGPU(ordinal int) error {
	n, err := cu.NumDevices()
	if err != nil {
		return fmt.Errorf("count the GPUs: %w", err)
	}
	if ordinal < 0 || ordinal >= n {
		return fmt.Errorf("the driver shows %d GPUs, see CUDA_VISIBLE_DEVICES", n)
	}
	dev, err := cu.GetDevice(ordinal)
	if err != nil {
		return err
	}
	if b.gpu, err = dev.Name(); err != nil {
		return fmt.Errorf("ask for the name: %w", err)
	}
	major, err := dev.Attribute(cu.ComputeCapabilityMajor)
	if err != nil {
		return err
	}
	minor, err := dev.Attribute(cu.ComputeCapabilityMinor)
	if err != nil {
		return err
	}
	b.cc = 10*major + minor
	if b.sms, err = dev.Attribute(cu.MultiprocessorCount); err != nil {
		return err
	}
	context, err := dev.RetainPrimaryCtx()
	if err != nil {
		return fmt.Errorf("make a context: %w", err)
	}
	b.onClose(dev.ReleasePrimaryCtx)
	return cu.SetCurrentContext(context)
}

// function is a kernel with the dynamic shared memory it may have.
type function struct {
	cu.Function
	shared uint32
}

// openModules loads every kernel at once, so that what they take is known before memory is planned.
func (b *Backend) openModules() error {
	modules, arch, err := cubin.Open(b.cc)
	if err != nil {
		return fmt.Errorf("%s: %w", b.gpu, err)
	}
	b.arch = arch
	for _, m := range modules {
		loaded, err := cu.LoadData(string(m.Image))
		if err != nil {
			return fmt.Errorf("load %s for %s: %w", m.Name, arch, err)
		}
		b.onClose(loaded.Unload)
		for _, name := range m.Functions {
			f, err := loaded.Function(name)
			if err != nil {
				return fmt.Errorf("load %s of %s for %s: %w", name, m.Name, arch, err)
			}
			b.functions[name] = &function{f, sharedByDefault}
		}
	}
	return nil
}
