//go:build gpu

package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"attune/engine/session"
	"attune/internal/nvidia"
)

// Of a GPU that is there and cannot be opened doctor tells all that it found, with why, before it refuses.
func TestDoctorOfGPUThatFails(t *testing.T) {
	if d, err := session.OpenDevice("cuda", 0); err != nil {
		t.Skip("needs a GPU, or its emulator: make emu, LD_LIBRARY_PATH=.cache/emu:", err)
	} else if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ATTUNE_CUDA_PATH", "sm1")
	for _, device := range []string{"cuda", "auto"} {
		got := invoke(t.Context(), "", "doctor", "--json", "--device", device)
		var d diagnosis
		if err := json.Unmarshal([]byte(got.stdout), &d); err != nil || got.code != exitDevice {
			t.Fatalf("%s: %+v (%v)", device, got, err)
		}
		if len(d.GPUs) == 0 || d.Driver == nil || d.CUDA.Usable || got.stderr != "attune: "+d.CUDA.Why+"\n" {
			t.Errorf("%s: %+v, and on standard error %q", device, d, got.stderr)
		}
	}
}

// A directory of ATTUNE_CUDA_LIBS without the library is named, and a library that is found by two names is told of once.
func TestDoctorOfNamedLibraries(t *testing.T) {
	found := searchGPUs()
	if found.err != nil {
		t.Skip("needs a GPU, or its emulator: make emu, LD_LIBRARY_PATH=.cache/emu:", found.err)
	}
	var x diagnosis
	x.add(found)
	if len(x.CublasLt) == 0 {
		t.Skip("needs cuBLASLt")
	}
	empty, first := t.TempDir(), x.CublasLt[0]
	t.Setenv(nvidia.LibrariesEnv, empty+":"+filepath.Dir(first.Path))
	x.add(found)
	if want := "no cuBLASLt that this driver takes opens in " + empty + ", which ATTUNE_CUDA_LIBS names"; x.Warning != want {
		t.Errorf("warning %q, want %q", x.Warning, want)
	}
	if i := slices.Index(x.CublasLt, first); i < 0 || slices.Contains(x.CublasLt[i+1:], first) {
		t.Errorf("%+v: want %v once", x.CublasLt, first)
	}
}
