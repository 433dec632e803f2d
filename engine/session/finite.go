package session

import (
	"context"
	"iter"

	"attune/data"
)

// FindNonFinite computes a step's batches once more and looks at everything each kernel makes: the first that holds a NaN or
// an infinity is an *exec.NonFiniteError, nil means that there is none. Gradients must be zero before it, and are the step's
// again behind it where nothing was found. It brings every tensor back from the device, and takes many times as long as the
// step did.
func (s *Session) FindNonFinite(ctx context.Context, batches []data.Batch) error {
	for _, b := range batches {
		if err := s.look(ctx, training, b); err != nil {
			return err
		}
	}
	return nil
}

// FindNonFiniteLoss is FindNonFinite of a loss: of held-out rows. An error of batches ends it.
func (s *Session) FindNonFiniteLoss(ctx context.Context, batches iter.Seq2[data.Batch, error]) error {
	for b, err := range batches {
		if err == nil {
			err = s.look(ctx, judging, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look runs a batch with everything that it makes checked.
func (s *Session) look(ctx context.Context, why purpose, b data.Batch) error {
	p, err := s.get(s.key(why, b))
	if err != nil {
		return err
	}
	if err := s.upload(p, b); err != nil {
		return err
	}
	p.runner.CheckFinite = true
	defer func() { p.runner.CheckFinite = false }()
	return p.runner.Run(ctx)
}
