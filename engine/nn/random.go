package nn

import (
	"hash/fnv"
	"math"
)

// Random is the random numbers of one weight: seeded by the run's seed and the weight's name, so that neither the order
// in which weights are made nor which others there are changes any of them. The sequence is fixed: SplitMix64 (Steele,
// Lea, Flood 2014) with the conversions below.
type Random struct{ state uint64 }

// NewRandom begins the numbers of the weight called name.
func NewRandom(seed uint64, name string) *Random {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return &Random{mix(seed+golden) ^ h.Sum64()}
}

// golden is 2^64 divided by the golden ratio, made odd: the step of SplitMix64.
const golden = 0x9e3779b97f4a7c15

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (r *Random) next() uint64 {
	r.state += golden
	return mix(r.state)
}

// Uniform is in [0, 1), with 53 random bits.
func (r *Random) Uniform() float64 { return float64(r.next()>>11) * 0x1p-53 }

// Normal has mean 0 and standard deviation 1 (Box and Muller 1958).
func (r *Random) Normal() float64 {
	u := 1 - r.Uniform() // in (0, 1]
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*r.Uniform())
}
