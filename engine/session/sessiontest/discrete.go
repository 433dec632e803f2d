package sessiontest

import (
	"testing"

	"attune/engine/exec/exectest"
	"attune/engine/session"
)

// Discrete is a device with memory of its own, made of the processor: it queues, records, takes launches together, rounds
// what it allocates and computes rows at few lengths, and counts all that. It is closed when the test is over, and must have
// no memory left then.
func Discrete(t testing.TB, threads int) (*session.Device, *exectest.Discrete) {
	t.Helper()
	d, b, err := OpenDiscrete(threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, b
}

// OpenDiscrete is Discrete for who closes it.
func OpenDiscrete(threads int) (*session.Device, *exectest.Discrete, error) {
	cpu, err := session.OpenDevice("cpu", threads)
	if err != nil {
		return nil, nil, err
	}
	b := exectest.NewDiscrete(cpu.Backend)
	return &session.Device{Backend: b, Discrete: true, Footprint: exectest.Footprint, Lengths: Lengths, HostAlloc: hostAlloc, BFloat16: cpu.BFloat16, Tuned: cpu.Tuned}, b, nil
}

// Lengths rounds up to a multiple of a quarter of the most.
func Lengths(tokens, most int) int {
	quarter := max(1, (most+3)/4)
	return min(most, (tokens+quarter-1)/quarter*quarter)
}

func hostAlloc(bytes int64) (memory []byte, free func() error, err error) {
	return make([]byte, bytes), func() error { return nil }, nil
}
