package kernels

import (
	"math"
	"testing"
)

// The paper's definition: 8 quantiles above and 7 below 0, at equal steps of probability between 1/2 and what is half way
// between the last of 15 and of 16 equal shares.
func TestNF4LevelsAreQuantiles(t *testing.T) {
	quantile := func(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
	const outer = 0.9677083 // (1-1/32 + 1-1/30)/2, to the digits that bitsandbytes has
	var want [16]float64
	for i := range 8 {
		want[15-i] = quantile(outer+float64(i)*(0.5-outer)/8) / quantile(outer)
	}
	for i := range 7 {
		want[i] = -quantile(outer+float64(i)*(0.5-outer)/7) / quantile(outer)
	}
	for i, l := range NF4Levels() {
		if math.Abs(float64(l)-want[i]) > 1e-6 {
			t.Errorf("level %d is %g, the quantile %g", i, l, want[i])
		}
	}
}

// Sixteen numbers whose codes are 0 to 15, in two blocks, as bitsandbytes packs them: 0x01 0x23 0x45 0x67 0x89 ...
func TestNF4Order(t *testing.T) {
	y := &Tensor[float64]{Shape: []int{16}, F: make([]float64, 16)}
	word := func(bytes uint32) int32 { return int32(bytes) }
	NF4{Block: 8}.Float64([]*Tensor[float64]{
		{Shape: []int{2}, I: []int32{word(0x67452301), word(0xefcdab89)}},
		{Shape: []int{2}, F: []float64{2, 0.5}},
	}, []*Tensor[float64]{y})
	for i, got := range y.F {
		if want := float64(NF4Levels()[i]) * []float64{2, 0.5}[i/8]; got != want {
			t.Errorf("number %d is %g, want %g", i, got, want)
		}
	}
}
