package lawtest_test

import (
	"testing"

	cpubackend "attune/engine/exec/cpu"
	"attune/engine/exec/exectest"
	"attune/engine/lawtest"
	"attune/engine/session"
	"attune/engine/session/sessiontest"
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

// The processor keeps the laws with the instruction set that is chosen for it.
func TestProcessor(t *testing.T) {
	lawtest.Run(t, lawtest.Setup{Open: processor("")})
}

// The other instruction sets of this machine, and plain Go, keep them, too.
func TestOtherInstructionSets(t *testing.T) {
	for _, isa := range cpu.ISAs()[1:] {
		t.Run(isa, func(t *testing.T) { lawtest.Run(t, lawtest.Setup{Open: processor(isa), Checks: 4}) })
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

// So does one that does everything as late as it may, from recordings, at few lengths of a row.
func TestQueuedAndRecorded(t *testing.T) {
	var all []*exectest.Discrete
	lawtest.Run(t, lawtest.Setup{Checks: 4, Open: func(threads int) (*session.Device, error) {
		d, b, err := sessiontest.OpenDiscrete(threads)
		all = append(all, b)
		return d, err
	}})
	replayed, batches := 0, 0
	for _, b := range all {
		replayed, batches = replayed+b.Replayed, batches+b.Batches
	}
	if replayed == 0 || batches == 0 {
		t.Errorf("%d runs from recordings, %d launches of many: nothing was held to the laws", replayed, batches)
	}
}
