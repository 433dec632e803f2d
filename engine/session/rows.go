package session

import (
	"context"
	"fmt"

	"attune/data"
	"attune/engine/exec"
	"attune/engine/nn"
)

// SetLengths says how many tokens the longest row that is trained on has, and the longest that is judged: a device that
// computes at few lengths (Device.Lengths) needs to know before the first row.
func (s *Session) SetLengths(trained, judged int) {
	s.longest = map[purpose]int{training: trained, judging: judged}
}

// Computed is how many tokens are computed for a row of so many that is trained on.
func (s *Session) Computed(tokens int) int { return s.length(training, tokens) }

// length is how many tokens are computed for a row: as many as it has, where the device takes any length.
func (s *Session) length(why purpose, tokens int) int {
	lengths, most := s.o.Device.Lengths, s.longest[why]
	if lengths == nil || tokens > most {
		return tokens
	}
	return max(tokens, lengths(tokens, most))
}

// key is that of the program for a batch. Where lengths are few, so are the numbers of learnt tokens: a quarter of the row's,
// two, three, or all.
func (s *Session) key(why purpose, b data.Batch) key {
	k := key{purpose: why, tokens: s.length(why, b.Tokens)}
	if s.o.Device.Lengths == nil {
		return k
	}
	n := 0
	for _, w := range b.Weights {
		if w != 0 {
			n++
		}
	}
	quarter := (k.tokens + 3) / 4
	if learnt := max(1, (n+quarter-1)/quarter) * quarter; learnt < k.tokens {
		k.learnt = learnt
	}
	return k
}

// Queue adds the gradients of a batch to those of the step, after what was queued before; where the device queues, it waits
// for that once in keptLosses batches. The batch's share of the step's loss is in Losses. When ctx is done it stops between two
// kernels, with ctx's error and the gradients part added; a batch that is queued from a recording (exec.Recorder) is whole.
func (s *Session) Queue(ctx context.Context, b data.Batch) error {
	p, err := s.queue(ctx, training, b)
	if err == nil {
		err = s.losses.keep(s.o.Device, p.runner.Output(0))
	}
	if err != nil {
		s.losses.forget()
	}
	return err
}

// Losses waits for everything that was queued, and gives the share of each batch since the last call, in order. After an
// error of Queue there are none.
func (s *Session) Losses() ([]float64, error) { return s.losses.read(s.o.Device) }

// Accumulate is Queue, and Losses of this batch alone.
func (s *Session) Accumulate(ctx context.Context, b data.Batch) (float64, error) {
	s.losses.forget()
	if err := s.Queue(ctx, b); err != nil {
		return 0, err
	}
	losses, err := s.Losses()
	if err != nil {
		return 0, err
	}
	return losses[0], nil
}

// Loss is Σ weights·nll of a batch. When ctx is done it stops between two kernels, as Queue does, with ctx's error.
func (s *Session) Loss(ctx context.Context, b data.Batch) (float64, error) {
	p, err := s.queue(ctx, judging, b)
	if err != nil {
		return 0, err
	}
	loss, err := s.floats(p.runner.Output(0))
	if err != nil {
		return 0, err
	}
	return float64(loss[0]), nil
}

func (s *Session) queue(ctx context.Context, why purpose, b data.Batch) (*program, error) {
	p, err := s.get(s.key(why, b))
	if err != nil {
		return nil, err
	}
	if err := s.upload(p, b); err != nil {
		return nil, err
	}
	return p, p.runner.Queue(ctx)
}

// upload gives a program the rows of a batch, padded to the program's tokens: no segment, no weight.
func (s *Session) upload(p *program, b data.Batch) error {
	for name, values := range map[string][]int32{nn.IDs: b.IDs, nn.Positions: b.Positions, nn.Segments: b.Segments, nn.Targets: b.Targets, nn.Keys: b.Keys} {
		o, ok := p.inputs[name]
		if !ok {
			continue
		}
		fill := int32(0)
		if name == nn.Segments {
			fill = -1
		}
		if err := exec.Upload(s.o.Device, o, int32Bytes(longer(values, p.tokens, fill))); err != nil {
			return fmt.Errorf("upload %s: %w", name, err)
		}
	}
	if err := exec.Upload(s.o.Device, p.inputs[nn.Weights], Float32Bytes(longer(b.Weights, p.tokens, 0))); err != nil {
		return fmt.Errorf("upload weights: %w", err)
	}
	return nil
}

// longer is v with fill behind it up to n.
func longer[T any](v []T, n int, fill T) []T {
	if len(v) >= n {
		return v
	}
	long := append(make([]T, 0, n), v...)
	for len(long) < n {
		long = append(long, fill)
	}
	return long
}
