package session

import (
	"context"
	"time"

	"attune/data"
	"attune/engine/exec"
)

// Profile runs training of a batch once more, waiting for every step, and tells of each what it did and how long it took.
// The gradients are added to the step's, as Accumulate adds them. On a device that queues its work a step's time holds what
// starting and waiting for it takes.
func (s *Session) Profile(ctx context.Context, b data.Batch, observe func(exec.Work, time.Duration)) error {
	p, err := s.get(s.key(training, b))
	if err != nil {
		return err
	}
	if err := s.upload(p, b); err != nil {
		return err
	}
	work, i := p.Program.Work(), 0
	p.runner.Observe = func(_ exec.Step, d time.Duration) {
		observe(work[i], d)
		i++
	}
	defer func() { p.runner.Observe = nil }()
	return p.runner.Run(ctx)
}
