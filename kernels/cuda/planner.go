package cuda

import (
	"fmt"
	"unsafe"

	"attune/kernels"
)

// planner collects the steps of one kernel. Plans are made twice: without addresses, to count scratch, and for real.
type planner struct {
	target Target
	base   Ptr   // of the scratch
	need   int64 // bytes of it given out
	steps  []Step
	follow []Call // accumulations of this kernel's outputs that no step has taken in yet, see PlanFollowed
	err    error  // the first
}

// fail keeps the first complaint.
func (p *planner) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// scratch is working memory for the rest of this kernel, at a multiple of 256 bytes; what it holds is unknown.
func (p *planner) scratch(d kernels.Dtype, shape ...int) View {
	v := View{Ptr: p.base + Ptr(p.need), Dtype: d, Shape: shape}
	p.need += (v.Bytes() + 255) &^ 255
	return v
}

// launch appends a launch of function name over grid blocks (x, and y and z where given) of so many threads. args is the
// struct of the function's arguments, see argBytes.
func launch[T any](p *planner, name string, threads int, shared int, args T, grid ...int) {
	l := &Launch{Func: name, Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{uint32(threads), 1, 1}, Shared: uint32(shared), Args: argBytes(args)}
	for i, n := range grid {
		if most := []int{1<<31 - 1, 65535, 65535}[i]; n <= 0 || n > most {
			p.fail("%s over %v blocks; dimension %d is of 1 to %d", name, grid, i, most)
			return
		}
		l.Grid[i] = uint32(n)
	}
	p.steps = append(p.steps, l)
}

// gemm appends a matrix product, by cuBLASLt where the target has it.
func (p *planner) gemm(g Gemm) {
	if p.target.Lt {
		p.steps = append(p.steps, &g)
		return
	}
	steps, err := PlanGemm(p.target, g)
	if err != nil {
		p.fail("%w", err)
	}
	p.steps = append(p.steps, steps...)
}

// zero appends a fill of v with zero bytes.
func (p *planner) zero(v View) {
	p.steps = append(p.steps, &Fill{Ptr: v.Ptr, Bytes: v.Bytes()})
}

// argBytes is the memory of an argument struct. Its fields are of fixed size (Ptr, int32, int64, uint32, float32, float64,
// and arrays of them) and follow each other without padding, and then Go and C++ lay them out alike; a test holds the
// structs to those of the .cu files, field by field.
func argBytes[T any](args T) []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&args)), unsafe.Sizeof(args))...)
}

// blocks is how many pieces of size cover n.
func blocks(n, size int) int { return (n + size - 1) / size }

// flag is 1 for true.
func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
