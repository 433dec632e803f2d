package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"attune/kernels/cuda/cubin"
)

// One line a kernel's doc comment marks every instance below it, to the next empty line.
func TestHot(t *testing.T) {
	names, err := hot([]byte(`#include "device.cuh"

// A shot in the dark.
// hot: products
KERNEL(one, a, 32, 1) { f<1>(args); }
KERNEL(two, a, 32, 1) { f<2>(args); }

// hotter is not a mark
KERNEL(three, a, 32, 1) { f<3>(args); }
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 2 || !names["one"] || !names["two"] {
		t.Errorf("hot are %v, want one and two", names)
	}
	if _, err := hot([]byte("// hot\nDEVICE void f();\n")); err == nil {
		t.Error("a mark above no kernel was taken")
	}
}

// Two kernels, the first with a function that was not inlined, as ptxas 12.9 tells of them.
func TestUsages(t *testing.T) {
	const log = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'b' for 'sm_80'
ptxas info    : Function properties for b
ptxas         .     16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Function properties for helper
ptxas         .     24 bytes stack frame, 1 bytes spill stores, 2 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 40 bytes cumulative stack size, 1024 bytes smem, 400 bytes cmem[0]
ptxas info    : Compile time = 17.200 ms
ptxas info    : Compiling entry function 'a' for 'sm_80'
ptxas info    : Function properties for a
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 400 bytes cmem[0]`
	got, err := usages(log)
	if err != nil {
		t.Fatal(err)
	}
	want := []usage{{"b", 255, 40, 9, 14, 1024}, {"a", 32, 0, 0, 0, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	serialized := "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to insufficient register resources for the wgmma pipeline in the function 'a'"
	for _, broken := range []string{"", "ptxas info    : Compiling entry function 'a' for 'sm_80'", log + "\n" + serialized} {
		if got, err := usages(broken); err == nil {
			t.Errorf("%q: got %+v without an error", broken, got)
		}
	}
}

// What is kept is made anew after a change of the file, of a header that a header includes, of a flag or of the compiler.
func TestHash(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "k.cu", "#include \"a.cuh\"\n")
	write(t, dir, "a.cuh", "#pragma once\n  # include \"b.cuh\"\n")
	write(t, dir, "b.cuh", "#include \"a.cuh\"\n")
	hash := func(version string, flags ...string) string {
		t.Helper()
		list, err := readSources(dir)
		if err != nil {
			t.Fatal(err)
		}
		return list[0].hash(version, flags)
	}
	seen := []string{hash("12.9", "-a")}
	if again := hash("12.9", "-a"); again != seen[0] {
		t.Errorf("the same file has hashes %s and %s", seen[0], again)
	}
	seen = append(seen, hash("12.8", "-a"), hash("12.9", "-b"))
	write(t, dir, "b.cuh", "#include \"a.cuh\"\n//\n")
	seen = append(seen, hash("12.9", "-a"))
	write(t, dir, "k.cu", "#include \"a.cuh\"\n//\n")
	seen = append(seen, hash("12.9", "-a"))
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != 5 {
		t.Errorf("five inputs have %d hashes", n)
	}
	write(t, dir, "k.cu", "#include \"missing.cuh\"\n")
	if _, err := readSources(dir); err == nil {
		t.Error("a missing header was passed over")
	}
}

// The whole of it on three small files: archives of every architecture, Hopper's files in Hopper's alone, a hot kernel that
// spills refused and one that does not taken.
func TestCompile(t *testing.T) {
	nvrtc := os.Getenv("ATTUNE_NVRTC")
	if nvrtc == "" {
		t.Skip(`needs NVRTC: eval "$(scripts/cuda-toolchain.sh)"`)
	}
	dir, out := t.TempDir(), t.TempDir()
	const head = "#define KERNEL(name, type, threads, blocks) extern \"C\" __global__ void __launch_bounds__(threads, blocks) name(type args)\n\n"
	write(t, dir, "plain.cu", head+"// hot\nKERNEL(plain, float *, 32, 1) { args[threadIdx.x] += 1.0f; }\n")
	write(t, dir, "few_sm90.cu", head+"KERNEL(few, float *, 32, 1) { asm volatile(\"wgmma.fence.sync.aligned;\"); args[0] = 1.0f; }\n")
	const spilling = `KERNEL(spilling, float *, 1024, 1) {
  float a[256];
  _Pragma("unroll") for (int i = 0; i < 256; i++) a[i] = args[i * 1024 + threadIdx.x];
  for (int j = 0; j < 9; j++) {
    _Pragma("unroll") for (int i = 0; i < 256; i++) a[i] = a[i] * a[(i * 7 + 3) % 256] + a[(i + 5) % 256];
  }
  _Pragma("unroll") for (int i = 0; i < 256; i++) args[i * 1024 + threadIdx.x] = a[i];
}
`
	write(t, dir, "spilling.cu", head+spilling)
	o := options{nvrtc: nvrtc, source: dir, out: out, cache: filepath.Join(out, "obj"), only: regexp.MustCompile(""), parallel: 2}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(out, "report.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	report := string(b)
	for line, count := range map[string]int{"plain\t": 4, "few\t": 1, "few\tsm_90a\t": 1, "spilling\t": 4, "\ttrue\n": 4} {
		if n := strings.Count(report, line); n != count {
			t.Errorf("%q is there %d times, want %d, in\n%s", line, n, count, report)
		}
	}
	for _, arch := range cubin.Architectures {
		first, err := os.ReadFile(filepath.Join(out, "archives", arch+".zip"))
		if err != nil {
			t.Fatal(err)
		}
		if err := run(o); err != nil { // from what is kept
			t.Fatal(err)
		}
		if again, err := os.ReadFile(filepath.Join(out, "archives", arch+".zip")); err != nil || string(again) != string(first) {
			t.Errorf("%s.zip: other bytes from what is kept (error %v)", arch, err)
		}
	}

	write(t, dir, "spilling.cu", head+"// hot\n"+spilling)
	if err := run(o); err == nil || strings.Count(err.Error(), "spilling is marked hot and takes local memory on sm_") != 4 {
		t.Errorf("a hot kernel spills on four architectures: got %v", err)
	}
	write(t, dir, "spilling.cu", head+"KERNEL(plain, float *, 32, 1) { args[0] = 2.0f; }\n")
	if err := run(o); err == nil || !strings.Contains(err.Error(), "kernel plain is in plain.cu and in spilling.cu") {
		t.Errorf("two kernels of one name: got %v", err)
	}
	write(t, dir, "spilling.cu", "no C++\n")
	if err := run(o); err == nil || !strings.Contains(err.Error(), "spilling.cu(1): error") {
		t.Errorf("a file that does not compile: got %v", err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
