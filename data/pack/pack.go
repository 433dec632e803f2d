// Package pack puts the examples of one optimizer step into rows of bounded length, so that a forward pass computes few
// padding tokens. Each token carries its position in its own example and its segment; attention stays inside a segment,
// so a packed row gives what its examples would give one by one.
package pack

import (
	"attune/data"
)

// Quantum is what row lengths are multiples of: short enough that padding costs little, long enough that a run meets
// few different lengths (each is a program of its own).
const Quantum = 64

// Options is what a batch holds besides its examples.
type Options struct {
	Seed  uint64 // of the run, for Keys
	Epoch int    // for Keys
	PadID int32  // the id on padding
}

// Pack puts one step's examples into rows of at most microTokens tokens (rounded down to a multiple of Quantum); an
// example longer than that gets a row of its own. Rows are as long as they must be, rounded up to Quantum.
// Examples keep the order of the step inside a row; nothing depends on anything but the arguments.
//
// Batch.Weights are the examples' weights divided by their sum over the step, so that the sum over all batches of
// weight · NLL is the step's loss; where every weight is 1 the sum is the number of trained tokens.
// Every example must have as many weights as ids.
func Pack(step []data.Example, microTokens int, o Options) []data.Batch {
	sum := TrainedWeight(step)
	lengths := make([]int, len(step))
	for i := range step {
		lengths[i] = len(step[i].IDs)
	}
	rows := Assign(lengths, microTokens)
	batches := make([]data.Batch, len(rows))
	for i, row := range rows {
		batches[i] = batch(step, row, o, func(w float32) float32 { return float32(float64(w) / sum) })
	}
	return batches
}

// EvalRow packs the examples that Assign put into one row, to be measured: each trained token has the weight 1, so that
// weight · NLL adds up to the NLL of all trained tokens and Trained to their number.
func EvalRow(examples []data.Example, o Options) data.Batch {
	all := make([]int, len(examples))
	for i := range all {
		all[i] = i
	}
	return batch(examples, all, o, func(float32) float32 { return 1 })
}

// Rows gives the Tokens of the rows that Pack makes of examples with so many ids.
func Rows(lengths []int, microTokens int) []int {
	rows := Assign(lengths, microTokens)
	tokens := make([]int, len(rows))
	for i, row := range rows {
		n := 0
		for _, k := range row {
			n += lengths[k]
		}
		tokens[i] = RoundUp(n)
	}
	return tokens
}

// TrainedWeight is the sum of the weights a step learns at: what its loss is divided by.
func TrainedWeight(step []data.Example) float64 {
	var sum float64
	for i := range step {
		for j := 1; j < len(step[i].Weights); j++ {
			sum += float64(step[i].Weights[j])
		}
	}
	return sum
}

// batch writes the examples numbered by row one after the other.
func batch(step []data.Example, row []int, o Options, weight func(float32) float32) data.Batch {
	real := 0
	for _, i := range row {
		real += len(step[i].IDs)
	}
	t := RoundUp(real)
	b := data.Batch{
		Tokens: t, Real: real,
		IDs: make([]int32, t), Positions: make([]int32, t), Segments: make([]int32, t),
		Targets: make([]int32, t), Weights: make([]float32, t), Keys: make([]int32, t),
	}
	at := 0
	for segment, i := range row {
		e := &step[i]
		keys := newKeys(o, e.Ordinal)
		for p, id := range e.IDs {
			b.IDs[at], b.Positions[at], b.Segments[at] = id, int32(p), int32(segment)
			b.Keys[at] = keys.next()
			if p+1 < len(e.IDs) {
				b.Targets[at] = e.IDs[p+1]
				if w := e.Weights[p+1]; w != 0 {
					b.Weights[at] = weight(w)
					b.Trained++
				}
			}
			at++
		}
	}
	for ; at < t; at++ {
		b.IDs[at], b.Segments[at] = o.PadID, -1
	}
	return b
}

// RoundUp is the length, padding included, of a row of n tokens.
func RoundUp(n int) int { return (n + Quantum - 1) / Quantum * Quantum }
