package loader

import (
	"math/bits"

	"attune/data/pack"
)

// random is SplitMix64. It is our own so that an order once trained on can be had again whatever the Go version.
type random struct{ state uint64 }

// newRandom starts a stream for each combination of words.
func newRandom(words ...uint64) *random {
	var state uint64
	for _, w := range words {
		state = pack.Mix64(state ^ w + pack.Golden)
	}
	return &random{state}
}

func (r *random) next() uint64 {
	r.state += pack.Golden
	return pack.Mix64(r.state)
}

// below gives a number in [0, n), each as likely (Lemire, Fast Random Integer Generation in an Interval, 2019).
func (r *random) below(n uint64) uint64 {
	hi, lo := bits.Mul64(r.next(), n)
	for threshold := -n % n; lo < threshold; {
		hi, lo = bits.Mul64(r.next(), n)
	}
	return hi
}

// shuffle is Fisher-Yates, from the end.
func (r *random) shuffle(a []uint64) {
	for i := len(a) - 1; i > 0; i-- {
		j := r.below(uint64(i + 1))
		a[i], a[j] = a[j], a[i]
	}
}
