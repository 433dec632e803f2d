package rng

import (
	"math"
	"testing"
)

// The first numbers of SplitMix64 from state 1234567, as its authors' reference implementation prints them.
func TestReferenceStream(t *testing.T) {
	s := Source{state: 1234567}
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := s.Uint64(); got != want {
			t.Errorf("%d: %d, want %d", i, got, want)
		}
	}
}

func TestMoments(t *testing.T) {
	const n = 200_000
	s := New(1, 2)
	var u, z, zz float64
	counts := [7]int{}
	for range n {
		u += s.Float64()
		x := s.Norm()
		z += x
		zz += x * x
		counts[s.Intn(7)]++
	}
	if math.Abs(u/n-0.5) > 0.005 || math.Abs(z/n) > 0.01 || math.Abs(zz/n-1) > 0.02 {
		t.Errorf("means %g, %g, variance %g", u/n, z/n, zz/n)
	}
	for i, c := range counts {
		if math.Abs(float64(c)-n/7) > 5*math.Sqrt(n/7) {
			t.Errorf("%d came %d times of %d", i, c, n)
		}
	}
}

func TestKeysGiveOtherStreams(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(10) {
		for _, keys := range [][]uint64{nil, {0}, {1}, {0, 1}, {1, 0}, {Hash("a")}, {Hash("b")}} {
			x := New(seed, keys...).Uint64()
			if seen[x] {
				t.Errorf("seed %d keys %v repeats another stream", seed, keys)
			}
			seen[x] = true
		}
	}
}

func TestShuffleIsAPermutation(t *testing.T) {
	p := make([]int, 100)
	for i := range p {
		p[i] = i
	}
	New(3).Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
	seen, moved := map[int]bool{}, 0
	for i, x := range p {
		seen[x] = true
		if x != i {
			moved++
		}
	}
	if len(seen) != 100 || moved < 80 {
		t.Errorf("%d different, %d moved", len(seen), moved)
	}
}

// Fixed for ever: models and adapters made from a seed must stay the same.
func TestPinned(t *testing.T) {
	s := New(42, Hash("model.layers.0.self_attn.q_proj.lora_A.weight"))
	if got := [2]uint64{s.Uint64(), s.Uint64()}; got != [2]uint64{0xcd1b019fbaedf378, 0x8d0a08e6398aeae8} {
		t.Errorf("the sequence changed: %#x", got)
	}
}
