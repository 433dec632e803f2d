// Package cpu runs the kernels of package kernels on the processor: C bodies compiled once for each instruction set,
// chosen at start by what the processor has, called on chunks of the output by a pool of persistent workers.
//
// A kernel is <op>.go (checks, chunking) and <op>.c (the arithmetic). table_cgo.go lists the tuned kernels; what it
// does not list, or a storage dtype that a tuned kernel declines, goes to the reference of package kernels through
// float32 copies (reference.go). Without cgo, and with Options.ISA "go", the matrix products of linear, linear_bwd and
// linear_cross_entropy are gonum's (blas.go) on the same workers, and all else, attention too, is the reference.
//
// The bits of a result depend on the instruction set but never on the number of threads: work is split over outputs,
// and a sum that must be split is split at fixed places and added in a fixed order. Denormal numbers are kept, as
// PyTorch keeps them, with two exceptions: exp gives 0 below the smallest normal float32 (fastmath.h), and the bfloat16
// dot product of AVX-512 takes and makes 0 for denormals (vdpbf16ps has no other mode).
package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"attune/kernels"
	"attune/kernels/internal/shapes"
)

// View is one operand: dense row-major data in memory that the caller owns. Data is nil for an output that is not
// wanted. Shapes are the caller's; a kernel reads them and never keeps them.
type View struct {
	Data  []byte
	Dtype kernels.Dtype
	Shape []int
}

// Options says how an Engine runs.
type Options struct {
	// Threads is the number of workers, the calling goroutine being one of them. The default, 0, is GOMAXPROCS.
	Threads int
	// ISA is one of ISAs(). The default, "", is the best that the processor has.
	ISA string
}

// Engine runs kernels. One Engine runs one kernel at a time: Run may be called from several goroutines, which then
// take turns.
type Engine struct {
	mu    sync.Mutex
	isa   string
	tuned tuned
	pool  *pool
	table map[string]entry
	pack  packBuffers
}

// New starts the workers and takes the packing buffers. It fails on an instruction set that the processor or the build
// does not have.
func New(o Options) (*Engine, error) {
	if o.Threads < 0 {
		return nil, fmt.Errorf("cpu: %d threads: give a positive number, or 0 for all cores", o.Threads)
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	isa, err := chooseISA(o.ISA)
	if err != nil {
		return nil, err
	}
	e := &Engine{isa: isa, tuned: newTuned(isa), pool: newPool(o.Threads), table: table(isa)}
	e.pack = newPackBuffers(e)
	return e, nil
}

// ISA is the instruction set in use.
func (e *Engine) ISA() string { return e.isa }

// Threads is the number of workers.
func (e *Engine) Threads() int { return e.pool.n }

// Close stops the workers. The Engine cannot be used afterwards.
func (e *Engine) Close() { e.pool.close() }

// Scratch is the number of bytes of temporary memory that Run needs for these operands, whose Data may be nil; outputs that
// are not wanted are zero Views.
func (e *Engine) Scratch(k kernels.Kernel, in, out []View) int64 {
	t, ok := e.table[k.Name()]
	planned := func(v View) bool { return v.Dtype != 0 }
	if !ok || t.scratch == nil || shapes.Check(k, operands(in, planned), operands(out, planned)) != nil {
		return 0 // Run says what is wrong
	}
	return t.scratch(e, k, in, shapes.Pad(k, out))
}

// Resident is the number of bytes that the Engine holds from New to Close, beside what it is given: the packing
// buffers of the matrix products.
func (e *Engine) Resident() int64 { return e.pack.bytes() }

// Run computes k. It checks the operands and the size of scratch before anything is written; scratch may be nil where
// Scratch is 0.
func (e *Engine) Run(k kernels.Kernel, in, out []View, scratch []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, v := range in {
		if err := v.check(); err != nil {
			return fmt.Errorf("cpu: %s: input %d: %w", k.Name(), i, err)
		}
	}
	for i, v := range out {
		if err := v.check(); err != nil {
			return fmt.Errorf("cpu: %s: output %d: %w", k.Name(), i, err)
		}
	}
	if t, ok := e.table[k.Name()]; ok {
		if err := shapes.Check(k, operands(in, View.wanted), operands(out, View.wanted)); err != nil {
			return fmt.Errorf("cpu: %s: %w", k.Name(), err)
		}
		if t.scratch != nil {
			if need := t.scratch(e, k, in, shapes.Pad(k, out)); int64(len(scratch)) < need {
				return fmt.Errorf("cpu: %s: %d bytes of scratch, needs %d", k.Name(), len(scratch), need)
			}
		}
		err := t.run(e, k, in, shapes.Pad(k, out), scratch)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errDecline) {
			return fmt.Errorf("cpu: %s: %w", k.Name(), err)
		}
	}
	if err := runReference(k, in, out); err != nil {
		return fmt.Errorf("cpu: %s: %w", k.Name(), err)
	}
	return nil
}
