package kernels

// NF4 gives back numbers that were stored in four bits each (QLoRA's 4-bit NormalFloat, Dettmers et al. 2023,
// arXiv:2305.14314): blocks of Block numbers share their largest absolute value, and each is one of 16 fixed shares of it.
// The layout is that of bitsandbytes: of the two codes in a byte the first is in the high half, and int32 words hold four
// bytes, the first in the lowest. No model is computed from such weights yet.
//
//	y[i] = levels[code i] · absmax[i/Block]
//
//	in:  codes (N/8) int32, absmax (N/Block, rounded up) f32
//	out: y (N)
type NF4 struct{ Block int }

// NF4Levels are quantiles of the normal distribution, divided by the outermost, with a 0 among them: bitsandbytes' values.
func NF4Levels() [16]float32 {
	return [16]float32{
		-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
		-0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
		0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
	}
}

// Name implements Kernel.
func (NF4) Name() string { return "nf4" }

// Tol implements Kernel: one product, rounded to the storage (2^-24 or 2^-9).
func (NF4) Tol() Tol { return Tol{Float32: 1e-7, BFloat16: 4e-3} }

// Float32 implements Kernel.
func (k NF4) Float32(in, out []*Tensor[float32]) { nf4(k, in, out) }

// Float64 implements Kernel.
func (k NF4) Float64(in, out []*Tensor[float64]) { nf4(k, in, out) }

func nf4[T Float](k NF4, in, out []*Tensor[T]) {
	codes, absmax, y, levels := in[0].I, in[1].F, wanted(out, 0), NF4Levels()
	for i := range y {
		shift := 8*(i%8/2) + 4*(1-i%2)
		y[i] = T(levels[uint32(codes[i/8])>>shift&15]) * absmax[i/k.Block]
	}
}
