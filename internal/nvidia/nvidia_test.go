package nvidia

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The release is read from what the two kinds of NVIDIA's kernel modules say of themselves.
func TestRelease(t *testing.T) {
	for text, want := range map[string]string{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version:  gcc version 12.3.0\n":                               "535.183.01",
		"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)  Sun Jul 27 07:12:43 UTC 2025\nGCC version: 11.4.0 \n": "580.65.06",
		"something else 1.2.3 \n": "",
	} {
		m := releaseLine.FindStringSubmatch(text)
		if want == "" && m == nil {
			continue
		}
		if m == nil || m[1] != want {
			t.Errorf("%q: got %q, want %s", text, m, want)
		}
	}
}

// Directories that were named come first, then the loader's own, then those of the python3 on the path; libraries of CUDA 13
// are left out for a driver that does not take it.
func TestCublasLt(t *testing.T) {
	dir := t.TempDir()
	named, venv := filepath.Join(dir, "named"), filepath.Join(dir, "venv")
	packages := filepath.Join(venv, "lib", "python3.12", "site-packages", "nvidia")
	twelve, thirteen := filepath.Join(packages, "cublas", "lib", "libcublasLt.so.12"), filepath.Join(packages, "cu13", "lib", "libcublasLt.so.13")
	own := filepath.Join(named, "libcublasLt.so.12")
	for _, path := range []string{own, twelve, thirteen, filepath.Join(venv, "bin", "python3"), filepath.Join(packages, "cudnn", "lib", "libcudnn.so.9")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(LibrariesEnv, filepath.Join(dir, "missing")+":"+named)
	t.Setenv("PATH", filepath.Join(venv, "bin"))
	t.Setenv("HOME", dir)
	ours := func(list []string) []string { // without what this machine may have installed
		return slices.DeleteFunc(list, func(path string) bool { return filepath.IsAbs(path) && !strings.HasPrefix(path, dir) })
	}
	if got, want := ours(CublasLt(13000)), []string{own, "libcublasLt.so.13", "libcublasLt.so.12", thirteen, twelve}; !slices.Equal(got, want) {
		t.Errorf("driver of 13.0: got %q, want %q", got, want)
	}
	if got, want := ours(CublasLt(12080)), []string{own, "libcublasLt.so.12", twelve}; !slices.Equal(got, want) {
		t.Errorf("driver of 12.8: got %q, want %q", got, want)
	}
}

// A file that is no library is not one.
func TestInspectRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libcublasLt.so.12")
	if err := os.WriteFile(path, []byte("not one"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, "libc.so.6"} { // the C library opens, and is not cuBLASLt
		if l, err := Inspect(name); err == nil {
			t.Errorf("%s: got %+v", name, l)
		}
	}
}
