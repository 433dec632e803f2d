// Package cuda says what runs on an NVIDIA GPU for each kernel: Plan turns a kernel and its operands into a list of
// steps (launches of the functions in this directory's .cu files, matrix products, fills), without a driver at hand. The
// GPU (engine/exec/cuda), the emulator and the emulated driver (emu) take the same list, so that grids, arguments and
// scratch are held where there is no GPU.
//
// Three rules hold for every plan. What is launched depends on the target, dtypes and shapes alone, never on addresses,
// on contents or on time: the same inputs give the same bits, wherever they lie. No sum depends on the number of
// multiprocessors: work is split over outputs, or over pieces of fixed size whose sums are added in order. Every operand
// begins at a multiple of 16 bytes, so that rows whose bytes are a multiple of 16 are read 16 bytes at a time.
package cuda

import (
	"fmt"

	"attune/kernels"
	"attune/kernels/internal/shapes"
)

// Ptr is an address of the device; 0 is none.
type Ptr uint64

// View is one operand on the device, dense and row-major. The zero View is an output that is not wanted.
type View struct {
	Ptr   Ptr
	Dtype kernels.Dtype
	Shape []int
}

// Wanted says whether the operand is there. (While scratch is counted addresses are 0, so Ptr does not tell.)
func (v View) Wanted() bool { return v.Dtype != 0 }

// Elems is the number of elements.
func (v View) Elems() int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}

// Bytes is the size; an unwanted output has none.
func (v View) Bytes() int64 {
	if !v.Wanted() {
		return 0
	}
	return int64(v.Elems()) * v.Dtype.Size()
}

// Target is the device a plan is for.
type Target struct {
	// CC is the compute capability, 10 times the major and the minor number: 80, 86, 89, 90.
	CC int
	// Lt is whether cuBLASLt makes the matrix products; the kernels of gemm*.cu do otherwise.
	Lt bool
	// Hopper allows the kernels for sm_90a (wgmma, TMA). CC is 90 then.
	Hopper bool
	// SMs is the number of multiprocessors; 0 is an H100's. It says how many blocks share out tiles that are there anyway: no
	// kernel, and so no bit of a result, is chosen by it.
	SMs int
}

// Step is one thing to be done, in order: *Launch, *Gemm or *Fill.
type Step interface{ step() }

// Launch runs a function of the .cu files.
type Launch struct {
	Func        string
	Grid, Block [3]uint32
	Shared      uint32 // bytes of dynamic shared memory
	// Args is the one parameter of the function: its struct, by value.
	Args []byte
	// Maps are written into Args by the executor before the launch.
	Maps []TensorMap
}

// TensorMap is a CUtensorMap that the driver encodes into Args[At:At+128], for loads by TMA.
type TensorMap struct {
	At      int
	Ptr     Ptr
	Dtype   kernels.Dtype
	Dims    []uint64 // elements, the innermost first
	Strides []uint64 // bytes, of all dimensions but the innermost
	Box     []uint32 // elements
	Swizzle int      // bytes: 0, 32, 64 or 128
}

// Mat is a row-major matrix whose rows begin LD elements apart.
type Mat struct {
	Ptr            Ptr
	Dtype          kernels.Dtype
	Rows, Cols, LD int
}

// Gemm is D = Alpha·op(A)·op(B) + Beta·C + Bias, sums in float32; op transposes where TransA or TransB. A and B have one
// dtype, C and D have one dtype, and C may be D. Bias, of D's columns and dtype, may be unwanted.
type Gemm struct {
	A, B, C, D     Mat
	TransA, TransB bool
	Alpha, Beta    float32
	Bias           View
}

// Fill writes Bytes zero bytes.
type Fill struct {
	Ptr   Ptr
	Bytes int64
}

func (*Launch) step() {}
func (*Gemm) step()   {}
func (*Fill) step()   {}

// Scratch is the working memory in bytes that Plan needs for k. Addresses of the views are not looked at.
func Scratch(t Target, k kernels.Kernel, in, out []View) int64 {
	p := planner{target: t}
	if err := p.kernel(k, in, out); err != nil {
		return 0 // Plan says it again
	}
	return p.need
}

// Plan is the list of steps of k. scratch has at least as many bytes as Scratch says. A kernel or dtype that no function
// of this directory has is an error: nothing is ever computed on the host instead.
func Plan(t Target, k kernels.Kernel, in, out []View, scratch View) ([]Step, error) {
	return PlanFollowed(t, Call{Kernel: k, In: in, Out: out}, nil, scratch)
}

// kernel plans one kernel, after the checks that all have in common.
func (p *planner) kernel(k kernels.Kernel, in, out []View) error {
	plan, ok := table[k.Name()]
	if !ok {
		return fmt.Errorf("no kernel on cuda")
	}
	if err := check(k, in, out); err != nil {
		return err
	}
	plan(p, k, in, shapes.Pad(k, out))
	return p.err
}

// check is what all plans ask of operands.
func check(k kernels.Kernel, in, out []View) error {
	if err := shapes.Check(k, operands(in), operands(out)); err != nil {
		return err
	}
	for _, vs := range [][]View{in, out} {
		for _, v := range vs {
			if v.Ptr%16 != 0 {
				return fmt.Errorf("%v%v at %#x, which is not a multiple of 16", v.Dtype, v.Shape, v.Ptr)
			}
		}
	}
	return nil
}

func operands(vs []View) []shapes.Operand {
	os := make([]shapes.Operand, len(vs))
	for i, v := range vs {
		os[i] = shapes.Operand{Dtype: v.Dtype, Shape: v.Shape}
	}
	return os
}
