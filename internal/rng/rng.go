// Package rng is the source of every random choice: SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable
// pseudorandom number generators"). Its streams are fixed by their seed and keys, on every machine and with every version
// of Go, so a run can be repeated and resumed.
package rng

import (
	"math"
	"math/bits"
)

// Source is one stream. The zero value is the stream of seed 0.
type Source struct {
	state uint64
}

const gamma = 0x9e3779b97f4a7c15

// New starts the stream that belongs to a seed and the keys (an epoch, a hash of a name, ...). Other keys give an
// unrelated stream.
func New(seed uint64, keys ...uint64) *Source {
	s := mix(seed + gamma)
	for _, k := range keys {
		s = mix(bits.RotateLeft64(s, 23) ^ mix(k+gamma)) // rotated, or seed and key could change places
	}
	return &Source{state: s}
}

// Hash is a key for New made of a name (FNV-1a).
func Hash(name string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	return h
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Uint64 is 64 random bits.
func (s *Source) Uint64() uint64 {
	s.state += gamma
	return mix(s.state)
}

// Float64 lies in [0, 1), a multiple of 2^-53.
func (s *Source) Float64() float64 { return float64(s.Uint64()>>11) * 0x1p-53 }

// Intn lies in [0, n), each value equally likely (Lemire 2019); n must be positive.
func (s *Source) Intn(n int) int {
	if n <= 0 {
		panic("rng: Intn of a number that is not positive")
	}
	hi, lo := bits.Mul64(s.Uint64(), uint64(n))
	for limit := -uint64(n) % uint64(n); lo < limit; {
		hi, lo = bits.Mul64(s.Uint64(), uint64(n))
	}
	return int(hi)
}

// Norm is a standard normal number (Box and Muller 1958).
func (s *Source) Norm() float64 {
	u := 1 - s.Float64() // in (0, 1]
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*s.Float64())
}

// Shuffle puts n things into random order (Fisher and Yates).
func (s *Source) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, s.Intn(i+1))
	}
}
