package pack

import "attune/internal/rng"

// keys is the stream of dropout's counters for one example: the key of position p is the upper half of number p of the
// SplitMix64 stream of (seed, epoch, ordinal of the example). It does not know where packing put the token.
type keys struct{ stream *rng.Source }

func newKeys(o Options, ordinal int) keys {
	return keys{rng.New(o.Seed, uint64(o.Epoch), uint64(ordinal))}
}

func (k keys) next() int32 { return int32(uint32(k.stream.Uint64() >> 32)) }
