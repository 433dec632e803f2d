package checkpoint

import (
	"fmt"
	"slices"
)

// Drop removes the checkpoints of the steps from first to last, the newest first: a run that went back to one before them
// does not reach their states any more.
func (s *Store) Drop(first, last int) error {
	steps, err := s.list()
	if err != nil {
		return err
	}
	for _, step := range slices.Backward(steps) {
		if step < first || step > last {
			continue
		}
		if err := s.remove(step); err != nil {
			return fmt.Errorf("remove a checkpoint of what was gone back from: %w", err)
		}
	}
	return nil
}
