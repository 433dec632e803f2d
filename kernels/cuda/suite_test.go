package cuda_test

import (
	"testing"

	"attune/engine/op/optest"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// Every operation goes through the suite on the emulator: by the kernels for every GPU and by those for Hopper, with matrix
// products left to cuBLASLt and by own kernels. In place of 1, 2 and 3 threads there are three orders of what a GPU does in
// no order, the last with asynchronous copies and products as late as the program allows: all must give the same bits.
func TestSuite(t *testing.T) {
	for _, target := range []struct {
		name string
		cuda.Target
	}{
		{"sm80-own", cuda.Target{CC: 80}},
		{"sm80-lt", cuda.Target{CC: 80, Lt: true}},
		{"sm90-own", cuda.Target{CC: 90, Hopper: true}},
		{"sm90-lt", cuda.Target{CC: 90, Hopper: true, Lt: true}},
	} {
		t.Run(target.name, func(t *testing.T) {
			optest.Run(t, func(t testing.TB, threads int) optest.Backend {
				return emutest.Open(t, target.Target, emutest.Options{Seed: uint64(threads - 1), Async: threads == 3})
			})
		})
	}
}
