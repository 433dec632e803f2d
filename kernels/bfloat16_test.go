package kernels

import (
	"math"
	"testing"
)

// Rounding is to the nearer neighbour, to the even one of two equally near: checked on all bfloat16 numbers, half-way
// points and the numbers beside them.
func TestBFloat16RoundsToNearestEven(t *testing.T) {
	for b := range uint32(1 << 16) {
		f := BFloat16Float(uint16(b))
		got := BFloat16Bits(f)
		if math.IsNaN(float64(f)) {
			if !math.IsNaN(float64(BFloat16Float(got))) || got>>15 != uint16(b)>>15 {
				t.Fatalf("NaN %#04x became %#04x", b, got)
			}
			continue
		}
		if got != uint16(b) {
			t.Fatalf("%#04x = %v became %#04x", b, f, got)
		}
		if b&0x7fff == 0x7f80 {
			continue // infinity has no neighbour
		}
		up := uint16(b + 1) // the next number away from zero
		half := math.Float32frombits(b<<16 | 0x8000)
		even := uint16(b) + uint16(b)&1
		for _, c := range []struct {
			f    float32
			want uint16
		}{
			{math.Float32frombits(b<<16 | 0x7fff), uint16(b)},
			{half, even},
			{math.Float32frombits(b<<16 | 0x8001), up},
		} {
			if got := BFloat16Bits(c.f); got != c.want {
				t.Fatalf("%v became %#04x, want %#04x", c.f, got, c.want)
			}
		}
	}
	// A NaN whose only payload bits are cut off must not become infinity.
	if got := RoundBFloat16(math.Float32frombits(0x7f800001)); !math.IsNaN(float64(got)) {
		t.Errorf("signalling NaN became %v", got)
	}
}

// Every half-precision number is sign · fraction · 2^exponent by the definition of IEEE 754.
func TestFloat16(t *testing.T) {
	for h := range 1 << 16 {
		exp, frac := h>>10&0x1f, float64(h&0x3ff)
		var want float64
		switch exp {
		case 0:
			want = math.Ldexp(frac, -24)
		case 31:
			want = math.Inf(1)
			if frac != 0 {
				want = math.NaN()
			}
		default:
			want = math.Ldexp(1024+frac, exp-25)
		}
		if h>>15 == 1 {
			want = -want
		}
		got := float64(Float16Float(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != (h>>15 == 1) {
			t.Fatalf("%#04x is %v, want %v", h, got, want)
		}
	}
}
