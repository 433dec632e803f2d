package exec

import "fmt"

// Recorder is what a backend may be besides: one that keeps a list of launches and queues it again at the cost of one.
// CUDA's graphs are such recordings; where launching costs little next to the kernels, as on a processor, there are none.
type Recorder interface {
	// Record keeps launches in order, with their operands, and runs nothing. It may be called while launches are
	// queued, which it neither waits for nor takes up. The slice is the caller's again on return. Where these launches
	// cannot be recorded, or there is no memory for it, the error is errors.ErrUnsupported or ErrMemory: they are then
	// launched as ever.
	Record([]Launch) (Recording, error)
}

// Recording is a list of launches that its backend keeps.
type Recording interface {
	// Queue is Launch of each launch in order: the results are the same to the bit, and so are the errors that Sync
	// gives. It may be called again before the launches of the last call have ended, and not once a buffer that they
	// name was freed.
	Queue() error
	// Bytes is the memory of the device that the recording takes beside its operands, as far as the backend knows.
	Bytes() int64
	// Close gives the recording's memory back, behind launches of it that are still queued. It touches no buffer: those
	// of its launches may be gone.
	Close() error
}

// Batcher is what a backend may be besides: one that takes many launches in fewer of its own, as for the updates of a
// thousand small tensors. The launches are independent: none writes what another reads or writes. Their scratch alone may
// be one region for all, which is enough for any one of them: who takes them together brings memory of its own for it.
type Batcher interface {
	// LaunchAll is Launch of each, to the bit, in any order among them and behind all launches before. The backend may
	// keep what it makes of the slice, known by its first element's address and its length: who changes what a launch
	// says gives another slice.
	LaunchAll([]Launch) error
}

// LaunchAll launches independent launches (see Batcher), together where b can and one by one elsewhere.
func LaunchAll(b Backend, launches []Launch) error {
	if all, ok := b.(Batcher); ok {
		return all.LaunchAll(launches)
	}
	for i, l := range launches {
		if err := b.Launch(l); err != nil {
			return fmt.Errorf("launch %d of %d: %w", i+1, len(launches), err)
		}
	}
	return nil
}
