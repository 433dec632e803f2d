package kernels

import "math"

// BFloat16Bits rounds f to bfloat16 (8 exponent bits, 7 fraction bits), to nearest with ties to even, as PyTorch and
// AVX-512's vcvtneps2bf16 do. NaN stays NaN (quiet, sign kept); what is beyond the largest bfloat16 becomes infinity.
func BFloat16Bits(f float32) uint16 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// BFloat16Float is the value of a bfloat16, exactly.
func BFloat16Float(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// RoundBFloat16 is f as bfloat16 storage would give it back.
func RoundBFloat16(f float32) float32 { return BFloat16Float(BFloat16Bits(f)) }

// Float16Float is the value of an IEEE 754 half-precision number, exactly.
func Float16Float(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch {
	case exp == 0x1f: // infinity, NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
	f := float32(frac) * (1.0 / (1 << 24)) // zero and subnormal
	return math.Float32frombits(sign | math.Float32bits(f))
}
