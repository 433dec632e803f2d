package nn

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// Random is the random numbers of one weight: seeded by the run's seed and the weight's name, so that neither the order
// in which weights are made nor which others there are changes any of them. The sequence is fixed: PCG with the
// conversions below.
type Random struct{ src *rand.PCG }

// NewRandom begins the numbers of the weight called name.
func NewRandom(seed uint64, name string) *Random {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return &Random{rand.NewPCG(seed, h.Sum64())}
}

// Uniform is in [0, 1), with 53 random bits.
func (r *Random) Uniform() float64 { return float64(r.src.Uint64()>>11) * 0x1p-53 }

// Normal has mean 0 and standard deviation 1 (Box and Muller 1958).
func (r *Random) Normal() float64 {
	u := 1 - r.Uniform() // in (0, 1]
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*r.Uniform())
}

// Uint32 is 32 random bits.
func (r *Random) Uint32() uint32 { return uint32(r.src.Uint64() >> 32) }
