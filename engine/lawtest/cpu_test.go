package lawtest_test

import (
	"testing"

	cpubackend "attune/engine/exec/cpu"
	"attune/engine/lawtest"
	"attune/engine/session"
	"attune/kernels/cpu"
)

// processor opens the processor with an instruction set.
func processor(isa string) func(threads int) (*session.Device, error) {
	return func(threads int) (*session.Device, error) {
		b, err := cpubackend.New(cpu.Options{Threads: threads, ISA: isa})
		if err != nil {
			return nil, err
		}
		return &session.Device{Backend: b, Wrap: cpubackend.Wrap, Bytes: cpubackend.Bytes}, nil
	}
}

// Every instruction set of this machine, and plain Go, keeps the laws.
func TestProcessor(t *testing.T) {
	for i, isa := range cpu.ISAs() {
		t.Run(isa, func(t *testing.T) {
			checks := 20
			if i > 0 {
				checks = 4
			}
			lawtest.Run(t, lawtest.Setup{Open: processor(isa), Checks: checks})
		})
	}
}

// A device whose memory the host does not reach keeps them, too: all goes through uploads and downloads.
func TestMemoryOfItsOwn(t *testing.T) {
	open := processor("")
	lawtest.Run(t, lawtest.Setup{Checks: 4, Open: func(threads int) (*session.Device, error) {
		d, err := open(threads)
		if err != nil {
			return nil, err
		}
		return &session.Device{Backend: d.Backend}, nil
	}})
}
