package checkpoint

import (
	"errors"
	"fmt"
	"slices"

	"attune/internal/disk"
	"attune/internal/wholedir"
)

// prune removes old checkpoints of a run that stands at step now. It keeps the newest Keep, the multiples of KeepEvery,
// and those of the steps stay: the best one, where the guard goes back to. The newest whole one always stays: those that
// are known to be damaged do not count. Those of later steps are of a future that was lost: they stay, and count for
// nothing, until the run gets there.
func (s *Store) prune(now int, stay ...int) error {
	steps, err := s.list()
	if err != nil {
		return err
	}
	steps = slices.DeleteFunc(steps, func(step int) bool { return step > now })
	if there, err := s.anyWhole(steps); err != nil {
		return fmt.Errorf("old checkpoints are not removed: %w", err)
	} else if !there {
		return s.Sweep() // a damaged one is better than none
	}
	keep := max(s.Keep, 1)
	var errs []error
	for _, step := range slices.Backward(steps) {
		if whole, judged := s.known(step); keep > 0 && (whole || !judged) {
			keep--
			continue
		}
		if slices.Contains(stay, step) || s.KeepEvery > 0 && step > 0 && step%s.KeepEvery == 0 {
			continue
		}
		if err := s.remove(step); err != nil {
			errs = append(errs, fmt.Errorf("remove old checkpoint: %w", err))
		}
	}
	return errors.Join(append(errs, s.Sweep())...)
}

// anyWhole says whether there is a whole one, and has then judged all that are newer. It mostly knows that the newest is,
// which was just written, and reads none.
func (s *Store) anyWhole(steps []int) (bool, error) {
	for _, step := range slices.Backward(steps) {
		whole, judged := s.known(step)
		if !judged {
			c, err := s.Open(step)
			if err == nil {
				return true, c.Close()
			}
			if !errors.Is(err, ErrCorrupt) {
				return false, err
			}
		}
		if whole {
			return true, nil
		}
	}
	return false, nil
}

// remove takes a checkpoint's name away first, so that half of one never stands there.
func (s *Store) remove(step int) error {
	temp, err := disk.Temp(s.name(step), func(temp string) error { return s.FS.Rename(s.name(step), temp) })
	if err != nil {
		return err
	}
	s.forget(step)
	return s.FS.RemoveAll(temp)
}

// Sweep tidies up after writes that were cut off. Only the run that holds the lock may call it.
func (s *Store) Sweep() error { return wholedir.Sweep(s.FS, s.Root, prefix) }
