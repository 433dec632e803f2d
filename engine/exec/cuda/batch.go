//go:build gpu

package cuda

import (
	"fmt"
	"slices"

	"attune/engine/exec"
	"attune/kernels/cuda"
)

// batch is a list of launches that were joined: steps, with their table in memory of the device.
type batch struct {
	launches []exec.Launch // kept, so that no other list can come to lie where this one does
	memory   block
	steps    []cuda.Step
}

// mostBatches is how many joined lists are kept. A run has two, the norm and the update of what it trains.
const mostBatches = 8

// LaunchAll implements exec.Batcher: kernels that kernels/cuda can join are planned once for a list and run as one launch
// or two, however many tensors there are.
func (b *Backend) LaunchAll(launches []exec.Launch) error {
	if len(launches) == 0 {
		return nil
	}
	if i := slices.IndexFunc(b.batches, func(l *batch) bool { return &l.launches[0] == &launches[0] && len(l.launches) == len(launches) }); i >= 0 {
		l := b.batches[i]
		b.batches = append(slices.Delete(b.batches, i, i+1), l) // the last used is the last to go
		return b.queue(l)
	}
	calls := make([]cuda.Call, len(launches))
	for i, l := range launches {
		var err error
		if calls[i], err = b.call(l); err != nil {
			return fmt.Errorf("launch %d of %d: %w", i+1, len(launches), err)
		}
	}
	size := cuda.ScratchAll(b.target, calls)
	if size == 0 {
		for i, l := range launches {
			if err := b.Launch(l); err != nil {
				return fmt.Errorf("launch %d of %d: %w", i+1, len(launches), err)
			}
		}
		return nil
	}
	l := &batch{launches: launches}
	if err := b.join(l, calls, size); err != nil {
		return fmt.Errorf("join %d launches: %w", len(launches), err)
	}
	return b.queue(l)
}

func (b *Backend) queue(l *batch) error {
	return b.do(func() error {
		b.note(l.launches[0].Kernel.Name())
		return b.run(l.steps)
	})
}

// join plans calls, in memory that stays theirs.
func (b *Backend) join(l *batch, calls []cuda.Call, size int64) error {
	if len(b.batches) == mostBatches {
		old := b.batches[0]
		if err := b.do(func() error { return b.pool.free(old.memory) }); err != nil {
			return err
		}
		b.batches = b.batches[1:]
	}
	buf, err := b.Alloc(size)
	if err != nil {
		return err
	}
	l.memory = buf.(*buffer).block
	steps, table, err := cuda.PlanAll(b.target, calls, bytesView(l.memory.ptr, size))
	if err == nil {
		err = b.Upload(buf, 0, table)
	}
	if err != nil {
		_ = buf.Free() // the first error counts
		return err
	}
	l.steps = steps
	b.batches = append(b.batches, l)
	return nil
}

var _ exec.Batcher = (*Backend)(nil)
