package cuda_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// deviceMatrix is a matrix in the emulator's memory; offset elements lie before it, and the gaps of its rows hold NaN.
type deviceMatrix struct {
	cuda.Mat
	memory *emutest.Memory
	values []float64 // as they are stored
}

func newDeviceMatrix(r *rand.Rand, d kernels.Dtype, rows, cols, ld, offset int) *deviceMatrix {
	size := int(d.Size())
	m := &deviceMatrix{memory: emutest.Alloc((offset + (rows-1)*ld + cols) * size)}
	m.Mat = cuda.Mat{Ptr: m.memory.Ptr + cuda.Ptr(offset*size), Dtype: d, Rows: rows, Cols: cols, LD: ld}
	for i := range m.memory.Bytes {
		m.memory.Bytes[i] = 0xff
	}
	m.values = make([]float64, rows*cols)
	for i := range m.values {
		at := (offset + i/cols*ld + i%cols) * size
		v := float32(2*r.Float64() - 1)
		if d == kernels.BFloat16 {
			bits := kernels.BFloat16Bits(v)
			binary.LittleEndian.PutUint16(m.memory.Bytes[at:], bits)
			v = kernels.BFloat16Float(bits)
		} else {
			binary.LittleEndian.PutUint32(m.memory.Bytes[at:], math.Float32bits(v))
		}
		m.values[i] = float64(v)
	}
	return m
}

// read is what the matrix holds now.
func (m *deviceMatrix) read() []float64 {
	offset, size := int(m.Ptr-m.memory.Ptr), int(m.Dtype.Size())
	out := make([]float64, m.Rows*m.Cols)
	for i := range out {
		at := m.memory.Bytes[offset+(i/m.Cols*m.LD+i%m.Cols)*size:]
		if m.Dtype == kernels.BFloat16 {
			out[i] = float64(kernels.BFloat16Float(binary.LittleEndian.Uint16(at)))
		} else {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(at)))
		}
	}
	return out
}

// gemmCase is a product by PlanGemm; gap is how much further rows are apart than they are long, offset where operands begin.
type gemmCase struct {
	m, n, k        int
	transA, transB bool
	in, out        kernels.Dtype
	alpha, beta    float32
	bias, inPlace  bool
	gap, offset    int
	kernel         string // what the name of the function begins with
}

// run makes the product on e and compares it with sums in float64; it returns D.
func (c gemmCase) run(t *testing.T, e *emutest.Emulator, target cuda.Target) []float64 {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 9))
	matrix := func(d kernels.Dtype, rows, cols int) *deviceMatrix {
		return newDeviceMatrix(r, d, rows, cols, cols+c.gap, c.offset)
	}
	operand := func(rows, cols int, trans bool) *deviceMatrix {
		if trans {
			return matrix(c.in, cols, rows)
		}
		return matrix(c.in, rows, cols)
	}
	a, b := operand(c.m, c.k, c.transA), operand(c.k, c.n, c.transB)
	addend, d := matrix(c.out, c.m, c.n), matrix(c.out, c.m, c.n)
	bias := matrix(c.out, 1, c.n)
	g := cuda.Gemm{A: a.Mat, B: b.Mat, TransA: c.transA, TransB: c.transB, Alpha: c.alpha, Beta: c.beta}
	if c.inPlace {
		d = addend
	}
	if c.beta != 0 {
		g.C = addend.Mat
	}
	if c.bias {
		g.Bias = cuda.View{Ptr: bias.Ptr, Dtype: c.out, Shape: []int{c.n}}
	}
	g.D = d.Mat
	steps, err := cuda.PlanGemm(target, g)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 1 {
		t.Fatalf("%d steps, want one launch", len(steps))
	}
	if name := steps[0].(*cuda.Launch).Func; !strings.HasPrefix(name, c.kernel) {
		t.Errorf("%s makes the product, want %s...", name, c.kernel)
	}
	if err := e.Steps(steps); err != nil {
		t.Fatal(err)
	}
	got := d.read()
	tol := 2e-6 * math.Sqrt(float64(c.k))
	for i := range c.m {
		for j := range c.n {
			var sum, size float64
			for l := range c.k {
				x, y := a.values[pick(c.transA, l*c.m+i, i*c.k+l)], b.values[pick(c.transB, j*c.k+l, l*c.n+j)]
				sum, size = sum+x*y, size+x*x*y*y
			}
			want := float64(c.alpha)*sum + float64(c.beta)*addend.values[i*c.n+j]
			if c.bias {
				want += bias.values[j]
			}
			allowed := tol*(1+math.Sqrt(size)) + math.Abs(want)*map[kernels.Dtype]float64{kernels.Float32: 1e-6, kernels.BFloat16: 1.0 / 256}[c.out]
			if v := got[i*c.n+j]; !(math.Abs(v-want) <= allowed) {
				t.Fatalf("element (%d,%d) is %g, wants %g", i, j, v, want)
			}
		}
	}
	for _, m := range []*deviceMatrix{a, b, addend, bias} {
		if err := m.memory.Free(); err != nil {
			t.Error(err)
		}
	}
	if !c.inPlace {
		if err := d.memory.Free(); err != nil {
			t.Error(err)
		}
	}
	return got
}

func pick(b bool, yes, no int) int {
	if b {
		return yes
	}
	return no
}

// All transposes, dtypes, edges of tiles, distances of rows, with and without what is added.
func TestGemm(t *testing.T) {
	target := cuda.Target{CC: 80}
	e := emutest.Open(t, target, emutest.Options{})
	types := []struct{ in, out kernels.Dtype }{
		{kernels.Float32, kernels.Float32}, {kernels.BFloat16, kernels.BFloat16}, {kernels.BFloat16, kernels.Float32},
	}
	sizes := [][3]int{{1, 1, 1}, {3, 5, 7}, {64, 128, 32}, {65, 129, 33}, {130, 72, 1030}, {515, 18, 20}}
	for _, d := range types {
		for n, size := range sizes {
			for trans := range 4 {
				c := gemmCase{
					m: size[0], n: size[1], k: size[2], in: d.in, out: d.out, transA: trans&1 != 0, transB: trans&2 != 0, alpha: 1,
				}
				switch (n + trans) % 4 { // each of them with every transpose
				case 1:
					c.bias, c.gap = true, 3
				case 2:
					c.alpha, c.beta, c.inPlace = -0.5, 1, true
				case 3:
					c.beta, c.gap, c.bias = 0.25, 8, true
				}
				t.Run(fmt.Sprintf("%v-%v/%dx%dx%d/%d", d.in, d.out, c.m, c.n, c.k, trans), func(t *testing.T) { c.run(t, e, target) })
			}
		}
	}
}

// Bits depend neither on the order of what runs in no order, nor on addresses, the distance of rows and so the loader, nor on
// whether D is C.
func TestGemmBits(t *testing.T) {
	target := cuda.Target{CC: 80}
	plain := emutest.Open(t, target, emutest.Options{})
	late := emutest.Open(t, target, emutest.Options{Seed: 3, Async: true})
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		for trans := range 4 {
			c := gemmCase{m: 136, n: 200, k: 104, in: d, out: d, transA: trans&1 != 0, transB: trans&2 != 0, alpha: 1, beta: 1, bias: true}
			want := c.run(t, plain, target)
			moved := c
			moved.gap, moved.offset = 5, 1
			placed := c
			placed.inPlace = true
			for name, got := range map[string][]float64{
				"late": c.run(t, late, target), "moved": moved.run(t, plain, target), "in place": placed.run(t, plain, target),
			} {
				for i := range want {
					if got[i] != want[i] {
						t.Errorf("%v, transposes %d, %s: element %d is %g instead of %g", d, trans, name, i, got[i], want[i])
						break
					}
				}
			}
		}
	}
}

// More tiles than the small ones are for: the large tiles and their order.
func TestGemmLarge(t *testing.T) {
	target := cuda.Target{CC: 80}
	e := emutest.Open(t, target, emutest.Options{Seed: 1})
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		for trans := range 4 {
			gemmCase{m: 1300, n: 1500, k: 19, in: d, out: d, transA: trans&1 != 0, transB: trans&2 != 0, alpha: 1}.run(t, e, target)
		}
	}
}

// The tiles of Hopper, both widths: edges, tails of k, more tiles than blocks, what is added, in any order of the copies and
// products. Bits do not depend on how many blocks share the tiles.
func TestGemmHopper(t *testing.T) {
	few, all := cuda.Target{CC: 90, Hopper: true, SMs: 5}, cuda.Target{CC: 90, Hopper: true}
	for _, o := range []emutest.Options{{}, {Seed: 2, Async: true}} {
		e := emutest.Open(t, few, o)
		for n, size := range []struct{ m, n, k, width int }{
			{128, 128, 8, 128}, {130, 136, 72, 128}, {304, 520, 488, 128}, {1040, 2056, 24, 256}, {1160, 1808, 72, 256},
		} {
			for trans := range 3 { // not both
				c := gemmCase{
					m: size.m, n: size.n, k: size.k, transA: trans == 1, transB: trans == 2, in: kernels.BFloat16, out: kernels.BFloat16, alpha: 1,
					kernel: fmt.Sprintf("gemm_sm90_%s_%d", []string{"nn", "tn", "nt"}[trans], size.width),
				}
				if c.transA {
					c.m = (c.m + 7) &^ 7
				}
				switch (n + trans) % 4 {
				case 1:
					c.bias, c.gap = true, 8
				case 2:
					c.out, c.alpha, c.beta, c.inPlace, c.bias = kernels.Float32, -0.5, 1, true, true
				case 3:
					c.beta, c.gap = 0.25, 16
				}
				got := c.run(t, e, few)
				if o.Async {
					continue
				}
				for i, v := range c.run(t, e, all) {
					if v != got[i] {
						t.Errorf("%dx%d: element %d is %g by 5 blocks, %g by as many as there are tiles", c.m, c.n, i, got[i], v)
						break
					}
				}
			}
		}
	}
}

func TestGemmRefuses(t *testing.T) {
	mat := func(d kernels.Dtype, rows, cols int) cuda.Mat {
		return cuda.Mat{Ptr: 256, Dtype: d, Rows: rows, Cols: cols, LD: cols}
	}
	f32 := kernels.Float32
	good := cuda.Gemm{A: mat(f32, 3, 4), B: mat(f32, 4, 5), D: mat(f32, 3, 5), Alpha: 1}
	for name, change := range map[string]func(*cuda.Gemm){
		"k":        func(g *cuda.Gemm) { g.B = mat(f32, 5, 5) },
		"rows":     func(g *cuda.Gemm) { g.D = mat(f32, 2, 5) },
		"distance": func(g *cuda.Gemm) { g.A.LD = 3 },
		"dtypes":   func(g *cuda.Gemm) { g.B = mat(kernels.BFloat16, 4, 5) },
		"int32":    func(g *cuda.Gemm) { g.D = mat(kernels.Int32, 3, 5) },
		"C":        func(g *cuda.Gemm) { g.Beta, g.C = 1, mat(f32, 3, 4) },
		"bias":     func(g *cuda.Gemm) { g.Bias = cuda.View{Ptr: 256, Dtype: f32, Shape: []int{4}} },
		"empty":    func(g *cuda.Gemm) { g.A, g.D = mat(f32, 0, 4), mat(f32, 0, 5) },
	} {
		g := good
		change(&g)
		if steps, err := cuda.PlanGemm(cuda.Target{CC: 80}, g); err == nil {
			t.Errorf("%s: %d steps, want an error", name, len(steps))
		}
	}
	if _, err := cuda.PlanGemm(cuda.Target{CC: 80}, good); err != nil {
		t.Error(err)
	}
}
