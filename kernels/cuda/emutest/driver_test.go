package emutest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The emulated driver and the emulated cuBLASLt, see emu/faces_test.cpp. What stands in log is in the driver's log, and what
// in says on stderr.
func TestDriver(t *testing.T) {
	dir := folder(t)
	for _, c := range []struct {
		name string
		env  []string
		log  string
		says string
	}{
		{name: "no-device", env: []string{"GPUS=0"}, log: "cuInit 100\ncuDeviceGetCount 3\ncuDriverGetVersion 0\n"},
		{name: "devices", env: []string{"GPUS=2", "CC=86", "DRIVER=12020"}},
		{name: "kernels", log: "\ncuLaunchKernel 0 add 1,1,1 256,1,1 0\n", says: "add is launched with 40 bytes of arguments; its struct has 48"},
		{name: "kernels", env: []string{"ASYNC=1", "SEED=7"}},
		{name: "sticky", says: "out of bounds, at"},
		{name: "sticky", env: []string{"ASYNC=1"}, says: "out of bounds, at"},
		{name: "memory", env: []string{"MEMORY=67108864"}, log: "\ncuMemAlloc 2 31457280\n"},
		{name: "late", env: []string{"ASYNC=1"}},
		{name: "graphs", log: "\ncuStreamEndCapture 0 3\n"},
		{name: "graphs", env: []string{"ASYNC=1"}},
		{name: "failures", env: []string{"FAIL=cuMemAlloc:2,cuStreamSynchronize:1:719"}},
		{name: "leaks", env: []string{"LEAKS=1"}, says: "not freed when its context was destroyed: 2 device allocations (1048676 bytes), 1 host allocations (100 bytes), 1 streams\n"},
		{name: "maps"},
		{name: "products", log: "\ncublasLtMatmul 0 33x100x200 NN 0>0\n"},
		{name: "products", env: []string{"ASYNC=1"}},
	} {
		t.Run(strings.Join(append([]string{c.name}, c.env...), "/"), func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "faces_test"), c.name)
			cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ATTUNE_EMU_") })
			for _, v := range append(c.env, "LOG="+log) {
				cmd.Env = append(cmd.Env, "ATTUNE_EMU_"+v)
			}
			var says strings.Builder
			cmd.Stderr = &says
			out, err := cmd.Output()
			if err != nil || string(out) != "ok\n" {
				t.Errorf("%v\n%s%s", err, out, says.String())
			}
			wrote, err := os.ReadFile(log)
			if err != nil || !strings.Contains(string(wrote), c.log) {
				t.Errorf("%q is not in the log (%v):\n%s", c.log, err, wrote)
			}
			if !strings.Contains(says.String(), c.says) {
				t.Errorf("it does not say %q, but:\n%s", c.says, says.String())
			}
		})
	}
}
