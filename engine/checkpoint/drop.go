package checkpoint

import (
	"errors"
	"fmt"
	"slices"
)

// Drop removes the checkpoints of the steps from first to last, the newest first: a run that went back to one before them
// does not reach their states any more. What is removed is gone after a power cut, too.
func (s *Store) Drop(first, last int) error {
	steps, err := s.list()
	if err != nil {
		return err
	}
	var errs []error
	dropped := false
	for _, step := range slices.Backward(steps) {
		if step >= first && step <= last {
			errs = append(errs, s.remove(step))
			dropped = true
		}
	}
	if dropped {
		errs = append(errs, s.FS.SyncDir(s.Root))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove a checkpoint of what was gone back from: %w", err)
	}
	return nil
}
