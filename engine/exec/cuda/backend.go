//go:build gpu

// Package cuda is the executor's backend on an NVIDIA GPU, through the driver's interface (gorgonia.org/cu) and built with
// the tag gpu: kernels as kernels/cuda plans them, matrix products by cuBLASLt where it is installed, one stream for
// everything, so that all takes effect in the order it was asked for.
//
// Nothing waits but Sync, Download and freeing: launches and uploads are queued. What fails on the GPU therefore shows
// later, and ends the device for the process: the error says which steps were under way.
package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"attune/engine/exec"
	"attune/kernels"
	"attune/kernels/cuda"

	"gorgonia.org/cu"
)

// Backend implements exec.Backend, exec.Recorder and exec.Batcher. What changes after New is the worker's, but for ring and
// hosts, which Upload and Download take from any goroutine, and batches, which is LaunchAll's.
type Backend struct {
	*worker
	name, gpu, arch, warning string
	cc, sms                  int // compute capability, multiprocessors
	target                   cuda.Target
	stream                   cu.Stream
	functions                map[string]*function
	mapper                   unsafe.Pointer // the driver's function for tensor maps, once one is needed
	lt                       *lt
	pool                     pool
	ring                     ring
	hosts                    sync.Map // start of page-locked memory to its end, uintptr
	batches                  []*batch
	resident                 int64
	undo                     []func() error
	first, last              string // steps queued since the stream was last seen to be well
	broken                   error
}

func (b *Backend) onClose(f func() error) { b.undo = append(b.undo, f) }

// Name implements exec.Backend: the GPU, its driver, and what makes matrix products.
func (b *Backend) Name() string { return b.name }

// Warning is what the user should be told of the device, once; empty where all is as it should be.
func (b *Backend) Warning() string { return b.warning }

// Resident is the device memory in bytes that kernels, cuBLASLt and its workspace take, measured when they were loaded.
// MemoryFree is what is left beside it.
func (b *Backend) Resident() int64 { return b.resident }

// Sync implements exec.Backend.
func (b *Backend) Sync() error { return b.do(b.wait) }

// wait is Sync on the worker.
func (b *Backend) wait() error {
	if b.broken != nil {
		return b.broken
	}
	if err := b.stream.Synchronize(); err != nil {
		return b.blame(err)
	}
	b.first, b.last = "", ""
	return nil
}

// note remembers a step that is about to be queued.
func (b *Backend) note(name string) {
	if b.first == "" {
		b.first = name
	}
	b.last = name
}

// blame adds to an error what it may come from. The driver tells of a kernel that failed at whatever call comes next, and
// after that every call fails: the first such error stays.
func (b *Backend) blame(err error) error {
	if err == nil || b.broken != nil {
		return cmp.Or(b.broken, err)
	}
	if !slices.ContainsFunc(sticky, func(s error) bool { return errors.Is(err, s) }) {
		return err
	}
	where := "no kernel was under way"
	switch {
	case b.first != "" && b.first == b.last:
		where = "while " + b.first + " was under way"
	case b.first != "":
		where = fmt.Sprintf("in one of the kernels from %s to %s, all since the last wait", b.first, b.last)
	}
	b.broken = fmt.Errorf("the GPU failed: %w: %s; this process cannot use it any more: start again (a run with --resume); if it happens again the kernel's log may name the fault (dmesg, Xid)", err, where)
	return b.broken
}

// sticky are the driver's errors after which a context is of no use.
var sticky = []error{
	cu.IllegalAddress, cu.LaunchFailed, cu.LaunchTimeout, cu.MisalignedAddress, cu.IllegalInstruction, cu.InvalidAddressSpace, cu.InvalidPc,
	cu.HardwareStackError, cu.Assert, cu.EccUncorrectable, cu.NvlinkUncorrectable, cu.ContextIsDestroyed, cu.Unknown,
}

// view is an operand as kernels/cuda takes it.
func (b *Backend) view(o exec.Operand) (cuda.View, error) {
	if o.Buf == nil {
		return cuda.View{}, nil
	}
	p, err := b.part(o.Buf, o.Off, o.Bytes())
	return cuda.View{Ptr: cuda.Ptr(p), Dtype: o.Dtype, Shape: o.Shape}, err
}

// call resolves the operands of a launch.
func (b *Backend) call(l exec.Launch) (cuda.Call, error) {
	c := cuda.Call{Kernel: l.Kernel, In: make([]cuda.View, len(l.In)), Out: make([]cuda.View, len(l.Out))}
	var err error
	for i, o := range l.In {
		if c.In[i], err = b.view(o); err != nil {
			return c, fmt.Errorf("%s: input %d: %w", l.Kernel.Name(), i, err)
		}
	}
	for i, o := range l.Out {
		if c.Out[i], err = b.view(o); err != nil {
			return c, fmt.Errorf("%s: output %d: %w", l.Kernel.Name(), i, err)
		}
	}
	return c, nil
}

// plan is the steps of a launch and of the accumulations of its outputs that follow it (followed).
func (b *Backend) plan(l exec.Launch, sums ...exec.Launch) ([]cuda.Step, error) {
	c, err := b.call(l)
	if err != nil {
		return nil, err
	}
	calls := make([]cuda.Call, len(sums))
	for i, s := range sums {
		if calls[i], err = b.call(s); err != nil {
			return nil, err
		}
	}
	var scratch cuda.View
	if l.Scratch.Buf != nil {
		p, err := b.part(l.Scratch.Buf, l.Scratch.Off, l.Scratch.Len)
		if err != nil {
			return nil, fmt.Errorf("%s: scratch: %w", l.Kernel.Name(), err)
		}
		scratch = bytesView(p, l.Scratch.Len)
	}
	return cuda.PlanFollowed(b.target, c, calls, scratch)
}

// bytesView is plain memory, in whole words.
func bytesView(p uint64, n int64) cuda.View {
	return cuda.View{Ptr: cuda.Ptr(p), Dtype: kernels.Int32, Shape: []int{int(n / 4)}}
}

// Launch implements exec.Backend: it queues the kernel.
func (b *Backend) Launch(l exec.Launch) error {
	steps, err := b.plan(l)
	if err != nil {
		return err
	}
	return b.do(func() error {
		b.note(l.Kernel.Name())
		return b.run(steps)
	})
}

// run queues steps.
func (b *Backend) run(steps []cuda.Step) error {
	for _, s := range steps {
		var err error
		switch s := s.(type) {
		case *cuda.Launch:
			err = b.launch(s)
		case *cuda.Gemm:
			err = b.gemm(s)
		case *cuda.Fill:
			err = cu.MemsetD8Async(cu.DevicePtr(s.Ptr), 0, s.Bytes, b.stream)
		}
		if err != nil {
			return b.blame(err)
		}
	}
	return nil
}

// Scratch implements exec.Backend.
func (b *Backend) Scratch(k kernels.Kernel, in, out []exec.Type) int64 {
	views := func(ts []exec.Type) []cuda.View {
		vs := make([]cuda.View, len(ts))
		for i, t := range ts {
			vs[i] = cuda.View{Dtype: t.Dtype, Shape: t.Shape}
		}
		return vs
	}
	return cuda.Scratch(b.target, k, views(in), views(out))
}

// Close implements exec.Backend.
func (b *Backend) Close() error {
	err := b.do(func() error {
		var errs []error
		for _, l := range b.batches {
			errs = append(errs, b.pool.free(l.memory))
		}
		for _, f := range slices.Backward(b.undo) {
			errs = append(errs, f())
		}
		b.batches, b.undo = nil, nil
		if b.broken != nil {
			return nil // each of these failed as all does since; the first failure was told
		}
		return errors.Join(errs...)
	})
	b.stop()
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}

var _ exec.Backend = (*Backend)(nil)
