// Package emutest runs plans of kernels/cuda on the emulator (kernels/cuda/emu), for tests: the .cu files compiled for the
// processor, threads as fibers. Every operand lies in memory of its own that ends where nothing may be touched, so an access
// out of bounds is an error with the kernel's name, its thread and the line. `make emu` builds the emulator; tests find it
// by ATTUNE_TEST_EMU, the folder it is in, and are skipped without.
//
// A kernel's own test reads
//
//	e := emutest.Open(t, cuda.Target{CC: 80}, emutest.Options{Seed: 1})
//	err := e.Run(kernels.Add{}, in, out) // a whole kernel, in and out in ordinary memory
//	err = e.Steps(steps)                 // or a list of steps over memory from Alloc
package emutest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
)

// Options are how the emulator runs launches. Results must not depend on them.
type Options struct {
	// Seed, where not 0, shuffles blocks, warps and lanes wherever a GPU promises no order.
	Seed uint64
	// Async has asynchronous copies and products happen as late as the program allows, instead of at once.
	Async bool
}

// Emulator is a device in the memory of the process. It is an optest.Backend.
type Emulator struct {
	lib     *library
	target  cuda.Target
	options Options
}

// Open finds the emulator; the test is skipped where none is built.
func Open(t testing.TB, target cuda.Target, o Options) *Emulator {
	t.Helper()
	lib, err := open(filepath.Join(folder(t), "libemu.so"))
	if err != nil {
		t.Fatal(err)
	}
	return &Emulator{lib: lib, target: target, options: o}
}

// folder is where the emulator is; the test is skipped where none is built.
func folder(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ATTUNE_TEST_EMU")
	if dir == "" {
		t.Skip("needs the emulator: make emu, ATTUNE_TEST_EMU=.cache/emu")
	}
	if !filepath.IsAbs(dir) { // from the root of the checkout, wherever the test runs
		_, here, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(here), "..", "..", "..", dir)
	}
	return dir
}

// Close has nothing to free: the library stays loaded, as its threads do.
func (e *Emulator) Close() {}

// Run plans and runs k. in and out are copied to the device and back; operands that share memory do so there, too.
func (e *Emulator) Run(k kernels.Kernel, in, out []optest.View) (err error) {
	operands := map[*byte]*Memory{}
	defer func() {
		for host, m := range operands {
			copy(unsafe.Slice(host, len(m.Bytes)), m.Bytes)
			if e := m.Free(); err == nil && e != nil {
				err = fmt.Errorf("%s: %w", k.Name(), e)
			}
		}
	}()
	place := func(vs []optest.View) []cuda.View {
		ds := make([]cuda.View, len(vs))
		for i, v := range vs {
			if v.Data == nil {
				continue
			}
			host := unsafe.SliceData(v.Data)
			m := operands[host]
			if m == nil {
				m = Alloc(len(v.Data))
				copy(m.Bytes, v.Data)
				operands[host] = m
			}
			ds[i] = cuda.View{Ptr: m.Ptr, Dtype: v.Dtype, Shape: v.Shape}
		}
		return ds
	}
	ins, outs := place(in), place(out)
	scratch := Alloc(int(cuda.Scratch(e.target, k, ins, outs)))
	defer func() {
		if e := scratch.Free(); err == nil && e != nil {
			err = fmt.Errorf("%s: scratch: %w", k.Name(), e)
		}
	}()
	for i := range scratch.Bytes {
		scratch.Bytes[i] = 0xff // NaN: nothing may be taken from there that was not put there
	}
	steps, err := cuda.Plan(e.target, k, ins, outs, cuda.View{Ptr: scratch.Ptr, Dtype: kernels.Int32, Shape: []int{len(scratch.Bytes) / 4}})
	if err != nil {
		return err
	}
	return e.Steps(steps)
}

// Steps runs a plan's steps in order. Products that a plan leaves to cuBLASLt are made by plain loops.
func (e *Emulator) Steps(steps []cuda.Step) error {
	for _, s := range steps {
		switch s := s.(type) {
		case *cuda.Launch:
			if err := e.lib.launch(s, e.target.CC, e.options); err != nil {
				return err
			}
		case *cuda.Gemm:
			product(s)
		case *cuda.Fill:
			clear(bytesAt(s.Ptr, s.Bytes))
		}
	}
	return nil
}

func bytesAt(p cuda.Ptr, n int64) []byte {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), uintptr(p))), n)
}
