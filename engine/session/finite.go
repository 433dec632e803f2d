package session

import (
	"context"

	"attune/data"
)

// FindNonFinite computes a step's batches once more and looks at everything each kernel makes: the first that holds a NaN or
// an infinity is an *exec.NonFiniteError, nil means that there is none. Gradients must be zero before it, and are the step's
// again behind it where nothing was found. It brings every tensor back from the device, and takes many times as long as the
// step did.
func (s *Session) FindNonFinite(ctx context.Context, batches []data.Batch) error {
	for _, b := range batches {
		p, err := s.get(key{purpose: training, tokens: b.Tokens})
		if err != nil {
			return err
		}
		if err := s.upload(p, b); err != nil {
			return err
		}
		p.runner.CheckFinite = true
		err = p.runner.Run(ctx)
		p.runner.CheckFinite = false
		if err != nil {
			return err
		}
	}
	return nil
}
