package loader

import (
	"context"
	"iter"

	"attune/data"
	"attune/data/pack"
)

// Packed is one optimizer step, ready for the model.
type Packed struct {
	Step    int // from 0
	Epoch   int // from 0
	Batches []data.Batch
	Trained int   // trained tokens of the step
	Tokens  int   // tokens of the step, padding not counted
	Err     error // the examples could not be read: there are no batches
}

// PrefetchOptions is what packing needs to know.
type PrefetchOptions struct {
	MicroTokens int   // rows are at most this long; see pack.Pack
	PadID       int32 // the id on padding
}

// ahead is the number of packed steps that wait for their turn.
const ahead = 2

// Prefetch gives the steps from `from` to the last, in order, packed in the background while the step before them is
// trained. It ends early when ctx is done; the one who trains looks at ctx.Err. Each use of the sequence starts its own
// goroutine, which has ended when the sequence has.
func (l *Loader) Prefetch(ctx context.Context, from int, o PrefetchOptions) iter.Seq[Packed] {
	return func(yield func(Packed) bool) {
		ctx, cancel := context.WithCancel(ctx)
		packed := make(chan Packed, ahead)
		go func() {
			defer close(packed)
			for i := from; i < l.steps; i++ {
				if ctx.Err() != nil {
					return
				}
				select {
				case packed <- l.Pack(i, o):
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range packed { // until the goroutine has closed it
			}
		}()
		for p := range packed {
			if ctx.Err() != nil || !yield(p) {
				return
			}
		}
	}
}

// Pack gives one step, packed.
func (l *Loader) Pack(i int, o PrefetchOptions) Packed {
	examples, epoch, err := l.Step(i)
	p := Packed{Step: i, Epoch: epoch, Err: err}
	p.Batches = pack.Pack(examples, o.MicroTokens, pack.Options{Seed: l.opts.Seed, Epoch: epoch, PadID: o.PadID})
	for _, b := range p.Batches {
		p.Trained += b.Trained
		p.Tokens += b.Real
	}
	return p
}
