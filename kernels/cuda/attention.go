package cuda

import (
	"fmt"
	"math"

	"attune/kernels"
)

// attArgs are the arguments of the kernels of attention. Those that one does not need are 0.
type attArgs struct {
	Q, K, V, Dout                        Ptr
	O, Dq, Dk, Dv                        Ptr
	Lse                                  Ptr
	Lo, Hi, Last, Marks                  Ptr
	Stat                                 Ptr
	Tokens, Keys, Heads, Kv, Dh, Rows    int32
	Tq, Tk, Tv, Tdout, To, Tdq, Tdk, Tdv int32
	Scale, Inner, Outer                  float32
	Capped                               int32
}

// attRows is what the tokens are rounded up to in scratch: tiles of queries read rows behind the last.
const attRows = 128

// widestHead is the largest head size that the kernels have registers and shared memory for.
const widestHead = 256

// attention begins the arguments for queries (T,H,Dh) that look at keys and values (S,KV,Dh).
func (p *planner) attention(q, k, v View, scale, softCap float64) attArgs {
	if dh := q.Shape[2]; dh > widestHead {
		p.fail("head size %d, at most %d on cuda", dh, widestHead)
	}
	a := attArgs{
		Q: q.Ptr, K: k.Ptr, V: v.Ptr, Tq: int32(q.Dtype), Tk: int32(k.Dtype), Tv: int32(v.Dtype),
		Tokens: int32(q.Shape[0]), Keys: int32(k.Shape[0]), Heads: int32(q.Shape[1]), Kv: int32(k.Shape[1]), Dh: int32(q.Shape[2]),
		Rows: int32(blocks(q.Shape[0], attRows) * attRows), Scale: float32(scale), Inner: float32(scale * math.Log2E),
	}
	if softCap > 0 { // outer*(1 - 2/(1 + 2^(inner*product)))
		a.Inner, a.Outer, a.Capped = float32(2*scale/softCap*math.Log2E), float32(softCap*math.Log2E), 1
	}
	return a
}

type attSpansArgs struct {
	Segments, Positions     Ptr
	Lo, Hi, Last            Ptr
	Tokens, Keys, Window, _ int32
}

// spans finds which keys each query sees. With segments, a key at which lo is negative is padding.
func (a *attArgs) spans(p *planner, segments, positions View, window int, backward bool) {
	row := func() Ptr { return p.scratch(kernels.Int32, int(a.Tokens)).Ptr }
	a.Lo, a.Hi = row(), row()
	args := attSpansArgs{Lo: a.Lo, Hi: a.Hi, Tokens: a.Tokens, Keys: a.Keys, Window: int32(min(window, math.MaxInt32))}
	if positions.Wanted() {
		args.Positions = positions.Ptr
		launch(p, "att_spans_cached", 256, 0, args, blocks(int(a.Tokens), 256))
		return
	}
	a.Marks = a.Lo
	if backward {
		a.Last = row()
	}
	args.Segments, args.Last = segments.Ptr, a.Last
	launch(p, "att_spans", 1024, 2*1024*4, args, 1)
}

func planAttention(p *planner, kernel kernels.Kernel, in, out []View) {
	k, o, lse := kernel.(kernels.Attention), out[0], out[1]
	if !o.Wanted() && !lse.Wanted() {
		return
	}
	a := p.attention(in[0], in[1], in[2], k.Scale, k.SoftCap)
	a.spans(p, in[3], View{}, k.Window, false)
	a.O, a.To, a.Lse = o.Ptr, int32(o.Dtype), lse.Ptr
	a.forward(p)
}

// forward launches the pass from queries to o and lse.
func (a *attArgs) forward(p *planner) {
	if bfloat16s(a.Tq, a.Tk, a.Tv, a.To) {
		if a.hopper(p) {
			a.forwardHopper(p)
			return
		}
		t := a.tile()
		name, queries := t.name("att_fwd"), attRows
		held := 0 // the queries' own tile, where registers do not hold them
		if t.width == widestHead {
			if held = queries; p.smallShared() {
				name, queries, held = name+"_small", 64, 64
			}
		}
		launch(p, name, 2*queries, t.bytes(4*t.keys()+held), *a, int(a.Heads), blocks(int(a.Tokens), queries))
		return
	}
	s := a.float32Tile()
	launch(p, s.name("att_fwd_f32"), 256, s.bytes(3, 1), *a, int(a.Heads), blocks(int(a.Tokens), s.rows))
}

// bfloat16s says whether all operands that are there are bfloat16, which the kernels by mma want.
func bfloat16s(dtypes ...int32) bool {
	for _, d := range dtypes {
		if d != 0 && d != int32(kernels.BFloat16) {
			return false
		}
	}
	return true
}

// smallShared says whether a block has but 99 KiB of shared memory.
func (p *planner) smallShared() bool {
	cc := p.target.CC
	return cc == 86 || cc == 89 || cc/10 == 12
}

// mmaTile is a tile of rows of the bfloat16 kernels (attention_mma.cuh): width is the head size rounded up.
type mmaTile struct{ width int }

func (a *attArgs) tile() mmaTile {
	for _, w := range []int{32, 64, 80, 96, 128} {
		if int(a.Dh) <= w {
			return mmaTile{w}
		}
	}
	return mmaTile{widestHead}
}

func (t mmaTile) name(function string) string { return fmt.Sprintf("%s_%d", function, t.width) }

// keys is how many keys the forward pass takes at a time.
func (t mmaTile) keys() int {
	if t.width == widestHead {
		return 32
	}
	return 64
}

// bytes are those of so many rows: att_pitch.
func (t mmaTile) bytes(rows int) int {
	if t.width%64 == 0 {
		return 2 * rows * t.width
	}
	return 2 * rows * (t.width + 8)
}

// float32Tile is the tile of the float32 kernels (attention_f32.cuh).
type float32Tile struct{ rows, width, dh int }

func (a *attArgs) float32Tile() float32Tile {
	switch dh := int(a.Dh); {
	case dh <= 64:
		return float32Tile{32, 64, dh}
	case dh <= 128:
		return float32Tile{32, 128, dh}
	default:
		return float32Tile{16, 256, dh}
	}
}

func (t float32Tile) name(function string) string { return fmt.Sprintf("%s_%d", function, t.width) }

// bytes are those of so many tiles of rows of heads (of an odd length, so that columns lie in different banks) and of scores.
func (t float32Tile) bytes(heads, scores int) int {
	return 4 * (heads*t.rows*(t.dh|1) + scores*t.rows*t.rows)
}
