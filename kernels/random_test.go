package kernels

import (
	"math"
	"testing"
)

// The formula is repeated in C and CUDA: these values, worked out by hand from the doc comment in another language
// (Python integers), must never change, or resumed runs would drop other elements.
func TestUniformIsFixed(t *testing.T) {
	for _, c := range []struct {
		key, salt, i uint32
		want         float32
	}{
		{0, 0, 0, 11912653.0 / (1 << 24)},
		{1, 0, 0, 4809675.0 / (1 << 24)},
		{0, 1, 0, 16103504.0 / (1 << 24)},
		{0, 0, 1, 5296416.0 / (1 << 24)},
		{4294967295, 4294967295, 4294967295, 15032195.0 / (1 << 24)},
		{123456789, 42, 575, 9465801.0 / (1 << 24)},
		{2147483648, 7, 1048576, 5237187.0 / (1 << 24)},
	} {
		if got := Uniform(c.key, c.salt, c.i); got != c.want {
			t.Errorf("Uniform(%d, %d, %d) = %v, want %v", c.key, c.salt, c.i, got, c.want)
		}
	}
}

// Each of the three counters alone gives a sequence that is uniform (chi-squared over 64 bins), without correlation
// between neighbours or between rows.
func TestUniformIsUniformAndIndependent(t *testing.T) {
	const n, bins = 1 << 16, 64
	for name, at := range map[string]func(i uint32) (x, neighbour float32){
		"i":            func(i uint32) (float32, float32) { return Uniform(5, 6, i), Uniform(5, 6, i+1) },
		"key":          func(i uint32) (float32, float32) { return Uniform(i, 6, 7), Uniform(i+1, 6, 7) },
		"salt":         func(i uint32) (float32, float32) { return Uniform(5, i, 7), Uniform(5, i+1, 7) },
		"row to row":   func(i uint32) (float32, float32) { return Uniform(5, 6, i), Uniform(6, 6, i) },
		"layer to it":  func(i uint32) (float32, float32) { return Uniform(5, 6, i), Uniform(5, 7, i) },
		"shifted rows": func(i uint32) (float32, float32) { return Uniform(5, 6, i+1), Uniform(6, 6, i) },
	} {
		var count [bins]float64
		var sum, square, product float64
		for i := range uint32(n) {
			x, y := at(i)
			if x < 0 || x >= 1 {
				t.Fatalf("%s: %v is not in [0,1)", name, x)
			}
			count[int(x*bins)]++
			sum += float64(x)
			square += float64(x) * float64(x)
			product += float64(x) * float64(y)
		}
		var chi float64
		for _, c := range count {
			chi += (c - n/bins) * (c - n/bins) / (n / bins)
		}
		if chi > 63+5*math.Sqrt(2*63) { // mean 63, five standard deviations
			t.Errorf("%s: chi-squared %.1f over %d bins", name, chi, bins)
		}
		mean := sum / n
		if d := math.Abs(mean-0.5) * math.Sqrt(12*n); d > 5 {
			t.Errorf("%s: mean %v is %.1f standard deviations off", name, mean, d)
		}
		if r := (product/n - mean*mean) / (square/n - mean*mean); math.Abs(r) > 5/math.Sqrt(n) {
			t.Errorf("%s: correlation %v", name, r)
		}
	}
}
