package emutest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"attune/kernels"
	"attune/kernels/cuda"
)

// halves is a tensor of random bf16, in memory of the device.
func halves(t *testing.T, n int) (*Memory, []float64) {
	t.Helper()
	m, values := Alloc(2*n), make([]float64, n)
	for i := range values {
		b := kernels.BFloat16Bits(rand.Float32() - 0.5)
		binary.LittleEndian.PutUint16(m.Bytes[2*i:], b)
		values[i] = float64(kernels.BFloat16Float(b))
	}
	t.Cleanup(func() {
		if err := m.Free(); err != nil {
			t.Error(err)
		}
	})
	return m, values
}

// check90 launches a kernel of checks_sm90.cu with so many bytes of out.
func check90(t *testing.T, o Options, name string, threads, shared int, a, b *cuda.TensorMap, out int, numbers ...int32) ([]byte, error) {
	t.Helper()
	dst := Alloc(out)
	args := make([]byte, 320)
	binary.LittleEndian.PutUint64(args[256:], uint64(dst.Ptr))
	for i, n := range numbers {
		binary.LittleEndian.PutUint32(args[264+4*i:], uint32(n))
	}
	l := &cuda.Launch{Func: name, Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{uint32(threads), 1, 1}, Shared: uint32(shared), Args: args}
	for i, m := range []*cuda.TensorMap{a, b} {
		if m != nil {
			m.At = 128 * i
			l.Maps = append(l.Maps, *m)
		}
	}
	err := Open(t, cuda.Target{CC: 90, Hopper: true}, o).Steps([]cuda.Step{l})
	got := slices.Clone(dst.Bytes)
	if e := dst.Free(); err == nil {
		err = e
	}
	return got, err
}

// tile is a map of a row-major bf16 matrix with boxes of 64 columns, swizzled.
func tile(m *Memory, rows, cols, boxRows int) *cuda.TensorMap {
	return &cuda.TensorMap{Ptr: m.Ptr, Dtype: kernels.BFloat16, Dims: []uint64{uint64(cols), uint64(rows)}, Strides: []uint64{uint64(2 * cols)}, Box: []uint32{64, uint32(boxRows)}, Swizzle: 128}
}

// A load by TMA is held to its definition: element for element, zeros outside of the tensor, pieces of 16 bytes exchanged.
func TestTMA(t *testing.T) {
	const nx, ny, nz = 72, 10, 3
	m, values := halves(t, nx*ny*nz)
	for _, c := range []struct {
		box     [3]uint32 // z = 0: 2D
		swizzle int
		at      [3]int32
	}{
		{[3]uint32{64, 8, 0}, 128, [3]int32{0, 0}},
		{[3]uint32{64, 8, 0}, 128, [3]int32{40, 7}},
		{[3]uint32{64, 8, 0}, 128, [3]int32{-3, -2}},
		{[3]uint32{64, 8, 0}, 128, [3]int32{200, 0}},
		{[3]uint32{32, 4, 2}, 64, [3]int32{5, 8, 2}},
		{[3]uint32{16, 5, 3}, 32, [3]int32{-9, 1, -1}},
		{[3]uint32{24, 3, 2}, 0, [3]int32{60, 2, 1}},
		{[3]uint32{64, 1, 3}, 128, [3]int32{0, 4, 0}},
	} {
		rank := 3
		if c.box[2] == 0 {
			rank, c.box[2] = 2, 1
		}
		dims, strides := []uint64{nx, ny, nz}, []uint64{2 * nx, 2 * nx * ny}
		tm := &cuda.TensorMap{Ptr: m.Ptr, Dtype: kernels.BFloat16, Dims: dims[:rank], Strides: strides[:rank-1], Box: c.box[:rank], Swizzle: c.swizzle}
		n := int(c.box[0] * c.box[1] * c.box[2])
		mode := int32(2 * n)
		if rank == 2 {
			mode = -mode
		}
		for _, o := range orders {
			got, err := check90(t, o, "check_tma", 128, 1024+2*n, tm, nil, 2*n, c.at[0], c.at[1], c.at[2], mode)
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			for i := range n {
				x, y, z := int(c.at[0])+i%int(c.box[0]), int(c.at[1])+i/int(c.box[0])%int(c.box[1]), int(c.at[2])+i/int(c.box[0]*c.box[1])
				want := 0.0
				if x >= 0 && x < nx && y >= 0 && y < ny && z >= 0 && z < nz {
					want = values[(z*ny+y)*nx+x]
				}
				at := 2 * i
				if c.swizzle != 0 { // rows of swizzle bytes: piece p of row r is where p exchanged by r's place in 128-byte lines is
					line, piece := at/128, at/16%8
					at = line*128 + (piece^line%8&(c.swizzle/16-1))*16 + at%16
				}
				if v := float64(kernels.BFloat16Float(binary.LittleEndian.Uint16(got[at:]))); v != want {
					t.Fatalf("%+v %+v: element %d is %g, wants %g", c, o, i, v, want)
				}
			}
		}
	}
}

func TestWgmma(t *testing.T) {
	for _, c := range []struct {
		name   string
		n      int
		ta, tb bool
	}{
		{"check_wgmma_32", 32, false, false},
		{"check_wgmma_64t", 64, true, true},
		{"check_wgmma_96r", 96, false, false},
		{"check_wgmma_128t", 128, false, true},
		{"check_wgmma_192r", 192, false, true},
		{"check_wgmma_256", 256, true, false},
	} {
		am, a := halves(t, 64*64)
		bm, b := halves(t, 64*c.n)
		ta, tb := tile(am, 64, 64, 64), tile(bm, c.n, 64, c.n)
		if c.tb {
			tb = tile(bm, 64, c.n, 64)
		}
		for _, o := range orders {
			got, err := check90(t, o, c.name, 128, 1024+8192+128*c.n, ta, tb, 4*64*c.n)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for i := range 64 {
				for j := range c.n {
					want := 0.0
					for k := range 64 {
						x, y := a[64*i+k], b[64*j+k%64]
						if c.ta {
							x = a[64*k+i]
						}
						if c.tb {
							y = b[c.n*k+j]
						}
						want += 2 * x * y
					}
					v := float64(math.Float32frombits(binary.LittleEndian.Uint32(got[4*(c.n*i+j):])))
					if !(math.Abs(v-want) < 1e-4) {
						t.Fatalf("%s %+v: element %d,%d is %g, wants %g", c.name, o, i, j, v, want)
					}
				}
			}
		}
	}
}

func TestRing(t *testing.T) {
	const boxes = 7
	m, values := halves(t, boxes*64*64)
	tm := &cuda.TensorMap{Ptr: m.Ptr, Dtype: kernels.BFloat16, Dims: []uint64{64, 64, boxes}, Strides: []uint64{128, 8192}, Box: []uint32{64, 64, 1}, Swizzle: 128}
	run := func(o Options, mode int32) string {
		got, err := check90(t, o, "check_ring", 160, 1024+2*8192, tm, nil, 4*64*64, 0, 0, boxes, mode)
		if err != nil {
			return err.Error()
		}
		for i := range 64 * 64 {
			want := 0.0
			for z := range boxes {
				want += values[4096*z+i]
			}
			if v := float64(math.Float32frombits(binary.LittleEndian.Uint32(got[4*i:]))); !(math.Abs(v-want) < 1e-5) {
				return fmt.Sprintf("element %d is %g, wants %g", i, v, want)
			}
		}
		return ""
	}
	caught := 0
	for seed := range uint64(6) {
		for _, async := range []bool{false, true} {
			o := Options{Seed: seed, Async: async}
			if bad := run(o, 0); bad != "" {
				t.Errorf("%+v: %s", o, bad)
			}
			if run(o, 1) != "" {
				caught++
			}
		}
	}
	if caught == 0 {
		t.Error("a stage is filled while it is read, and no order shows it")
	}
}

func TestMistakesOfSm90AreCaught(t *testing.T) {
	m, _ := halves(t, 64*64)
	for _, c := range []struct {
		name  string
		mode  int32
		async bool // shows only then
		want  string
	}{
		{"check_written", 1, false, "without fence_async"},
		{"check_written", 3, false, "without wgmma_fence"},
		{"check_written", 4, false, "of a warpgroup make other products"},
		{"check_written", 5, false, "2 products by wgmma that it has not waited for"},
		{"check_loaded", 1, false, "an mbarrier at device_sm90.cuh:"},
		{"check_loaded", 2, false, "without mbarrier_init_fence"},
		{"check_loaded", 3, false, "has all of its 1 arrivals"},
		{"check_loaded", 4, true, "1 loads by TMA that nobody has waited for"},
		{"check_loaded", 5, false, "no mbarrier at byte 8"},
		{"check_loaded", 7, false, "has been written over"},
		{"check_loaded", 8, false, "TMA to byte 1024 of shared memory, which threads have written without fence_async"},
	} {
		for _, o := range orders {
			if c.async && !o.Async {
				continue
			}
			_, err := check90(t, o, c.name, threads90[c.name], 1024+8192, tile(m, 64, 64, 64), nil, 4*64*64, 0, 0, 0, c.mode)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name+": block (0,0,0)") {
				t.Errorf("%s mode %d %+v: %v; wants %q", c.name, c.mode, o, err, c.want)
			}
		}
	}
	e := Open(t, cuda.Target{CC: 80}, Options{})
	err := e.Steps([]cuda.Step{&cuda.Launch{Func: "check_written", Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{128, 1, 1}, Shared: 16384, Args: make([]byte, 320)}})
	if err == nil || !strings.Contains(err.Error(), "sm_90a on compute capability 80") {
		t.Errorf("wgmma on sm_80: %v", err)
	}
	bad := tile(m, 64, 64, 64)
	bad.Strides[0] = 120
	if _, err := check90(t, Options{}, "check_tma", 128, 16384, bad, nil, 16, 0, 0, 0, -16); err == nil || !strings.Contains(err.Error(), "multiple of 16") {
		t.Errorf("rows of 120 bytes: %v", err)
	}
}

var threads90 = map[string]int{"check_written": 128, "check_loaded": 32}

// What is used before it is waited for is right if everything happens at once, and NaN or old if it happens late.
func TestMissingWaitsShow(t *testing.T) {
	m, _ := halves(t, 64*64)
	for _, c := range []struct {
		name  string
		right int32
		wrong []int32
	}{{"check_written", 0, []int32{2}}, {"check_loaded", 0, []int32{6}}} {
		run := func(o Options, mode int32) []byte {
			out, err := check90(t, o, c.name, threads90[c.name], 1024+8192, tile(m, 64, 64, 64), nil, 4*64*64, 0, 0, 0, mode)
			if err != nil {
				t.Fatalf("%s mode %d: %v", c.name, mode, err)
			}
			return out
		}
		want := run(Options{}, c.right)
		for _, o := range orders {
			if !slices.Equal(run(o, c.right), want) {
				t.Errorf("%s: other bits with %+v", c.name, o)
			}
		}
		for _, mode := range c.wrong {
			if slices.Equal(run(Options{Async: true}, mode), want) {
				t.Errorf("%s mode %d: does not show", c.name, mode)
			}
		}
	}
	// An operand that is written again before the product is waited for: the product sees that, late.
	if _, err := check90(t, Options{Async: true}, "check_written", 128, 1024+8192, nil, nil, 4*64*64, 0, 0, 0, 6); err != nil {
		t.Fatal(err)
	}
}
