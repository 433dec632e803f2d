package cuda

import (
	"fmt"

	"attune/kernels"
)

// tensorMap is the place of a TensorMap in an argument struct.
type tensorMap [128]byte

type gemmSm90Args struct {
	A, B, A2, B2     tensorMap
	C, Bias, D       Ptr
	Ldc, Ldd         int64
	M, N, K, K2, Dcd int32
	Alpha, Beta      float32
	_                [15]int32
}

// sm90Least is the least number of rows and columns of a result for which tiles of 128x128 are worth it.
const sm90Least = 128

// sm90Width is how wide the tiles of a result are: 256 columns, of which a multiprocessor makes more in a second, or 128 where
// that leaves less of an H100 idle. Other devices take the same tiles, whatever their number of multiprocessors.
func sm90Width(m, n int) int {
	const narrower = 1.1 // what half a tile's time is multiplied by where it is made alone
	rounds := func(width int) float64 { return float64(blocks(blocks(m, 128)*blocks(n, width), h100)) }
	if narrower*rounds(128) < 2*rounds(256) {
		return 128
	}
	return 256
}

// h100 is the number of an H100's multiprocessors.
const h100 = 132

// onHopper says that gemm_sm90 makes g: operands of bfloat16 whose rows TMA can address, not both transposed, and a result
// that fills a tile.
func (p *planner) onHopper(g product) bool {
	m, n, _ := g.size()
	if !p.target.Hopper || g.A.Dtype != kernels.BFloat16 || g.TransA && g.TransB || g.drop.rate > 0 {
		return false
	}
	for _, o := range []Mat{g.A, g.B, g.A2, g.B2} {
		if o.LD%8 != 0 {
			return false
		}
	}
	return m >= sm90Least && n >= sm90Least && (!g.Bias.Wanted() || g.Bias.Dtype == g.D.Dtype)
}

func (p *planner) multiplySm90(g product) {
	m, n, k := g.size()
	k2 := g.A2.Cols
	if g.TransA {
		k2 = g.A2.Rows
	}
	width := sm90Width(m, n)
	var maps []TensorMap
	for i, o := range []Mat{g.A, g.B, g.A2, g.B2} {
		if o.Dtype == 0 { // no second product
			continue
		}
		if o.Ptr%16 != 0 {
			p.fail("operand %d of a product begins at %#x, which is not a multiple of 16", i, o.Ptr)
		}
		// A box is 64 k by all lanes of the tile where K runs along the rows, otherwise 64 lanes by 64 k.
		box := []uint32{64, 64}
		switch {
		case i%2 == 0 && !g.TransA:
			box[1] = 128
		case i%2 == 1 && g.TransB:
			box[1] = uint32(width)
		}
		maps = append(maps, TensorMap{
			At: i * len(tensorMap{}), Ptr: o.Ptr, Dtype: o.Dtype, Dims: []uint64{uint64(o.Cols), uint64(o.Rows)},
			Strides: []uint64{uint64(o.LD) * 2}, Box: box, Swizzle: 128,
		})
	}
	stages := map[int]int{128: 6, 256: 4}[width]
	shared := stages*(128+width)*64*2 + stages*2*8 + 8*16*40*4 // steps of A and B, two barriers each, results of 8 warps
	fill := p.target.SMs
	if fill == 0 {
		fill = h100
	}
	launch(p, fmt.Sprintf("gemm_sm90_%s_%d", g.transposes(), width), 384, shared, gemmSm90Args{
		C: g.C.Ptr, Bias: g.Bias.Ptr, D: g.D.Ptr, Ldc: int64(g.C.LD), Ldd: int64(g.D.LD),
		M: int32(m), N: int32(n), K: int32(k), K2: int32(k2), Dcd: int32(g.D.Dtype), Alpha: g.Alpha, Beta: g.Beta,
	}, min(blocks(m, 128)*blocks(n, width), fill)) // each block fills one
	p.maps(maps...)
}
