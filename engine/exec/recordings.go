package exec

import (
	"errors"
	"fmt"
	"slices"
)

// Recordings bounds what the runners that share it keep recorded: so many, of so many bytes of the device in all. Where
// there would be more, the one that was not run for the longest goes. Its runners are used by one goroutine at a time.
type Recordings struct {
	recorder Recorder // nil = the backend records nothing
	most     int
	bytes    int64
	runners  []*Runner // those that have one, the last run last
}

// NewRecordings is for runners of a backend; one that records nothing leaves them as they are.
func NewRecordings(b Backend, most int, bytes int64) *Recordings {
	recorder, _ := b.(Recorder)
	return &Recordings{recorder: recorder, most: most, bytes: bytes}
}

// SetBytes is how many bytes of the device all may take from the next run on.
func (all *Recordings) SetBytes(n int64) { all.bytes = n }

// recorded is what a runner has of its launches.
type recorded struct {
	recording Recording // nil = none
	once      bool      // they ran: the next time is worth a recording
	never     bool      // they cannot be recorded
}

// replay queues the launches from their recording; false means that there is none, and the runner launches them. The second
// run makes it: lengths of a row that come once are not worth one.
func (r *Runner) replay() (queued bool, err error) {
	all := r.Recordings
	if all == nil || all.recorder == nil || all.most < 1 || r.recorded.never {
		return false, nil
	}
	if r.recorded.recording == nil {
		if !r.recorded.once {
			r.recorded.once = true
			return false, nil
		}
		if err := all.shrink(func() bool { return len(all.runners) < all.most }); err != nil {
			return false, err
		}
		rec, err := all.recorder.Record(r.launches)
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, ErrMemory) {
			r.recorded.never = true
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("record the program: %w", err)
		}
		r.recorded.recording = rec
	}
	all.remove(r)
	all.runners = append(all.runners, r)
	if err := all.shrink(func() bool { return len(all.runners) == 1 || all.held() <= all.bytes }); err != nil {
		return false, err
	}
	if err := r.recorded.recording.Queue(); err != nil {
		return false, fmt.Errorf("run the recorded program: %w", err)
	}
	return true, nil
}

// shrink drops recordings until there is room.
func (all *Recordings) shrink(room func() bool) error {
	for !room() {
		if err := all.runners[0].forget(); err != nil {
			return err
		}
	}
	return nil
}

// held is the memory of all recordings.
func (all *Recordings) held() (bytes int64) {
	for _, r := range all.runners {
		bytes += r.recorded.recording.Bytes()
	}
	return bytes
}

func (all *Recordings) remove(r *Runner) {
	all.runners = slices.DeleteFunc(all.runners, func(x *Runner) bool { return x == r })
}

// forget drops what is recorded of a runner.
func (r *Runner) forget() error {
	rec := r.recorded.recording
	r.recorded = recorded{}
	if rec == nil {
		return nil
	}
	r.Recordings.remove(r)
	if err := rec.Close(); err != nil {
		return fmt.Errorf("drop a recorded program: %w", err)
	}
	return nil
}
