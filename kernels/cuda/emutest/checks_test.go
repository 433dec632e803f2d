package emutest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"attune/kernels"
	"attune/kernels/cuda"
)

// check launches a kernel of checks.cu: in (words) and so many words of out, and n.
func check(t *testing.T, o Options, name string, grid, threads, shared int, in []uint32, out int, n int64) ([]uint32, error) {
	t.Helper()
	e := Open(t, cuda.Target{CC: 80}, o)
	src, dst := Alloc(4*len(in)), Alloc(4*out)
	for i, w := range in {
		binary.LittleEndian.PutUint32(src.Bytes[4*i:], w)
	}
	args := make([]byte, 24)
	binary.LittleEndian.PutUint64(args, uint64(src.Ptr))
	binary.LittleEndian.PutUint64(args[8:], uint64(dst.Ptr))
	binary.LittleEndian.PutUint64(args[16:], uint64(n))
	err := e.Steps([]cuda.Step{&cuda.Launch{Func: name, Grid: [3]uint32{uint32(grid), 1, 1}, Block: [3]uint32{uint32(threads), 1, 1}, Shared: uint32(shared), Args: args}})
	got := make([]uint32, out)
	for i := range got {
		got[i] = binary.LittleEndian.Uint32(dst.Bytes[4*i:])
	}
	if e := src.Free(); err == nil {
		err = e
	}
	if e := dst.Free(); err == nil {
		err = e
	}
	return got, err
}

var orders = []Options{{}, {Seed: 1}, {Seed: 2, Async: true}}

// What a program must not do is an error that says so, and where.
func TestMistakesAreCaught(t *testing.T) {
	for _, c := range []struct {
		name                  string
		grid, threads, shared int
		n                     int64
		want                  []string // all in the message
	}{
		{"check_diverged_barrier", 2, 256, 0, 0, []string{"check_diverged_barrier: block (", "warp", "the warp diverges", "a barrier", "checks.cu:"}},
		{"check_missing_barrier", 1, 256, 0, 0, []string{"wait for each other", "warp 1", "a barrier at device_sm80.cuh:", "in checks.cu:"}},
		{"check_half_barrier", 1, 256, 0, 0, []string{"the warp diverges", "a vote", "a barrier"}},
		{"check_diverged_mma", 1, 32, 0, 0, []string{"mma", "checks.cu:"}},
		{"check_shuffle_from_nobody", 1, 32, 0, 0, []string{"shuffles from lane 20"}},
		{"check_pending_copy", 1, 32, 512, 0, []string{"1 copies by cp.async that it has not waited for"}},
		{"check_read_outside", 1, 32, 0, 1 << 10, []string{"reads 0x", "out of bounds", "checks.cu:"}},
		{"check_write_outside", 1, 32, 0, 64, []string{"writes 0x", "out of bounds", "thread ("}},
		{"check_write_outside", 1, 32, 0, -1, []string{"writes at byte -4"}},
		{"check_shared_outside", 1, 32, 1024, 1024, []string{"out of bounds"}},
		{"check_shared_outside", 1, 32, 1000, 1004, []string{"outside of its 1000 bytes of shared memory"}},
		{"check_misaligned_load", 1, 32, 0, 0, []string{"misaligned", "checks.cu:"}},
		{"check_misaligned_store", 1, 32, 0, 0, []string{"misaligned", "checks.cu:"}},
		{"check_misaligned_copy", 1, 32, 512, 0, []string{"cp.async from", "not a multiple of 16"}},
		{"check_divides", 1, 32, 0, 0, []string{"divides an integer by zero"}},
		{"check_recursion", 1, 32, 0, 0, []string{"out of bounds"}}, // of its stack
		{"check_early_exit", 1, 288, 0, 0, []string{"blocks of 288 threads; it is for 1 to 256"}},
		{"check_early_exit", 1, 256, 200 << 10, 0, []string{"compute capability 80 has 166912"}},
		{"check_nothing", 1, 32, 0, 0, []string{"check_nothing: no such kernel"}},
	} {
		for _, o := range orders {
			_, err := check(t, o, c.name, c.grid, c.threads, c.shared, make([]uint32, 128), 64, c.n)
			if err == nil {
				t.Errorf("%s %+v: no error", c.name, o)
				continue
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%s %+v: %q does not say %q", c.name, o, err, w)
				}
			}
		}
	}
	e := Open(t, cuda.Target{CC: 80}, Options{})
	err := e.Steps([]cuda.Step{&cuda.Launch{Func: "check_mma", Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Args: make([]byte, 20)}})
	if err == nil || !strings.Contains(err.Error(), "20 bytes of arguments; its struct in ") {
		t.Errorf("20 bytes of arguments: %v", err)
	}
}

// What only happens to work in one order gives other bits in another.
func TestRacesShow(t *testing.T) {
	in := make([]uint32, 128)
	for i := range in {
		in[i] = uint32(i)
	}
	for _, c := range []struct {
		name                  string
		grid, threads, shared int
	}{
		{"check_missing_wait", 1, 32, 1024},
		{"check_wait_too_many", 1, 32, 1024},
		{"check_source_changed", 1, 32, 1024},
		{"check_race_of_warps", 1, 64, 1024},
		{"check_race_of_lanes", 1, 32, 1024},
		{"check_race_of_blocks", 64, 32, 0},
	} {
		var results [][]uint32
		for seed := range uint64(8) {
			for _, async := range []bool{false, true} {
				out, err := check(t, Options{Seed: seed, Async: async}, c.name, c.grid, c.threads, c.shared, in, 32, 0)
				if err != nil {
					t.Fatal(err)
				}
				results = append(results, out)
			}
		}
		if !slices.ContainsFunc(results, func(r []uint32) bool { return !slices.Equal(r, results[0]) }) {
			t.Errorf("%s: 8 seeds and both modes give the same", c.name)
		}
	}
}

// Threads that have ended are not waited for.
func TestEarlyExit(t *testing.T) {
	for _, o := range orders {
		out, err := check(t, o, "check_early_exit", 1, 256, 0, []uint32{0}, 40, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range out {
			if v != uint32(i^1) {
				t.Errorf("%+v: thread %d has %d, wants %d", o, i, v, i^1)
			}
		}
	}
}

func TestNamedBarrier(t *testing.T) {
	for _, o := range orders {
		out, err := check(t, o, "check_named_barrier", 1, 128, 384, []uint32{0}, 32, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range out {
			if v != uint32(3*i+96) {
				t.Errorf("%+v: thread %d has %d, wants %d", o, i, v, 3*i+96)
			}
		}
	}
}

func TestCopies(t *testing.T) {
	for _, n := range []int{1, 3, 4, 1023, 1024, 1025, 5000} {
		in := make([]uint32, (n+3)/4*4)
		want := uint32(0)
		for i := range in {
			in[i] = rand.Uint32()
			if i < n {
				want += in[i]
			}
		}
		for _, o := range orders {
			out, err := check(t, o, "check_copies", 5, 256, 2*4096, in, 5, int64(n))
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range out {
				if got != want {
					t.Fatalf("%+v: the sum of %d words is %d, wants %d", o, n, got, want)
				}
			}
		}
	}
}

// ldmatrix is held to its definition: element [l/4][2(l%4)] of the matrix, and of the transposed one.
func TestLdmatrix(t *testing.T) {
	in := make([]uint32, 128) // 4 matrices of 8 rows of 8 bf16
	for i := range in {
		in[i] = rand.Uint32()
	}
	element := func(m, row, col int) uint32 { return in[m*32+row*4+col/2] >> (16 * (col % 2)) & 0xffff }
	for _, o := range orders {
		out, err := check(t, o, "check_ldmatrix", 1, 32, 512, in, 32*12, 0)
		if err != nil {
			t.Fatal(err)
		}
		for l := range 32 {
			for m := range 4 {
				row, col := l/4, 2*(l%4)
				plain := element(m, row, col) | element(m, row, col+1)<<16
				trans := element(m, col, row) | element(m, col+1, row)<<16
				words := out[12*l:]
				if words[m] != plain || words[4+m] != trans {
					t.Errorf("lane %d, matrix %d of x4: %x and %x, wants %x and %x", l, m, words[m], words[4+m], plain, trans)
				}
				if m < 2 && (words[8+m] != plain || words[10+m] != trans) {
					t.Errorf("lane %d, matrix %d of x2: %x and %x, wants %x and %x", l, m, words[8+m], words[10+m], plain, trans)
				}
			}
		}
	}
}

func TestMma(t *testing.T) {
	in := make([]uint32, (256+128)/2)
	halves := unsafe.Slice((*uint16)(unsafe.Pointer(&in[0])), 2*len(in))
	for i := range halves {
		halves[i] = kernels.BFloat16Bits(rand.Float32() - 0.5)
	}
	value := func(i int) float64 { return float64(kernels.BFloat16Float(halves[i])) }
	for _, o := range orders {
		out, err := check(t, o, "check_mma", 1, 32, 0, in, 128, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 16 {
			for j := range 8 {
				want := 0.0
				for k := range 16 {
					want += 3 * value(16*i+k) * value(256+8*k+j)
				}
				if got := float64(math.Float32frombits(out[8*i+j])); math.Abs(got-want) > 1e-5 {
					t.Errorf("d[%d][%d] is %g, wants %g", i, j, got, want)
				}
			}
		}
	}
}
