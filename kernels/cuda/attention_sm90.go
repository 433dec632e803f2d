package cuda

import "attune/kernels"

type attFwdSm90Args struct {
	Mq, Mk, Mv            tensorMap
	O, Lse                Ptr
	Lo, Hi, Marks         Ptr
	Tokens, Heads, Kv, Dh int32
	Inner, Outer          float32
	Capped                int32
	_                     [15]int32
}

// hopper says whether the kernels for Hopper take this head size: parts of 64 elements, and no more of them than the one
// that is loaded.
func (a *attArgs) hopper(p *planner) bool {
	return p.target.Hopper && (a.Dh == 64 || a.Dh == 128 || a.Dh == widestHead)
}

// headMap is the map of tiles of so many rows of one head of a tensor (tokens, heads, dh), the i-th of the arguments.
func headMap(i int, at Ptr, tokens, heads, dh int32, rows int) TensorMap {
	return TensorMap{
		At: i * len(tensorMap{}), Ptr: at, Dtype: kernels.BFloat16,
		Dims:    []uint64{uint64(dh), uint64(heads), uint64(tokens)},
		Strides: []uint64{uint64(dh) * 2, uint64(heads) * uint64(dh) * 2},
		Box:     []uint32{64, 1, uint32(rows)}, Swizzle: 128,
	}
}

// forwardHopper is forward by the kernels for Hopper.
func (a *attArgs) forwardHopper(p *planner) {
	t, keys := a.tile(), 128
	if t.width == widestHead {
		keys = 64
	}
	const barriers = 9 * 8
	launch(p, t.name("att_fwd")+"_sm90", 384, t.bytes(attRows+4*keys)+barriers, attFwdSm90Args{
		O: a.O, Lse: a.Lse, Lo: a.Lo, Hi: a.Hi, Marks: a.Marks, Tokens: a.Tokens, Heads: a.Heads, Kv: a.Kv, Dh: a.Dh,
		Inner: a.Inner, Outer: a.Outer, Capped: a.Capped,
	}, int(a.Heads), blocks(int(a.Tokens), attRows))
	p.maps(headMap(0, a.Q, a.Tokens, a.Heads, a.Dh, attRows), headMap(1, a.K, a.Keys, a.Kv, a.Dh, keys),
		headMap(2, a.V, a.Keys, a.Kv, a.Dh, keys))
}

type attBwdSm90Args struct {
	Mx1, Mx2, My1, My2, Mstat   tensorMap
	To1, To2                    Ptr
	Stat                        Ptr
	Lo, Hi, Last                Ptr
	Tokens, Heads, Kv, Dh, Rows int32
	Scale, Inner                float32
	_                           [13]int32
}

// backwardHopper is backward by the kernels for Hopper.
func (a *attArgs) backwardHopper(p *planner) {
	t := a.tile()
	const stages = 2
	args := attBwdSm90Args{
		Stat: a.Stat, Lo: a.Lo, Hi: a.Hi, Last: a.Last, Tokens: a.Tokens, Heads: a.Heads, Kv: a.Kv, Dh: a.Dh, Rows: a.Rows,
		Scale: a.Scale, Inner: a.Inner,
	}
	pass := func(name string, heads int32, moving, stat int, maps ...TensorMap) {
		shared := t.bytes(2*attRows+stages*2*moving) + stages*stat + (1+2*stages)*8
		launch(p, t.name(name)+"_sm90", 384, shared, args, int(heads), blocks(int(a.Tokens), attRows))
		p.maps(maps...)
	}
	queries := func(i, rows int) []TensorMap {
		return []TensorMap{headMap(i, a.Q, a.Tokens, a.Heads, a.Dh, rows), headMap(i+1, a.Dout, a.Tokens, a.Heads, a.Dh, rows)}
	}
	keys := func(i, rows int) []TensorMap {
		return []TensorMap{headMap(i, a.K, a.Tokens, a.Kv, a.Dh, rows), headMap(i+1, a.V, a.Tokens, a.Kv, a.Dh, rows)}
	}
	if a.Tdk != 0 || a.Tdv != 0 {
		const moving = 64
		args.To1, args.To2 = a.Dk, a.Dv
		pass("att_dkdv", a.Kv, moving, 8*moving, append(append(keys(0, attRows), queries(2, moving)...), TensorMap{
			At: 4 * len(tensorMap{}), Ptr: a.Stat, Dtype: kernels.Float32,
			Dims: []uint64{2 * uint64(a.Rows), uint64(a.Heads)}, Strides: []uint64{8 * uint64(a.Rows)}, Box: []uint32{2 * moving, 1},
		})...)
	}
	if a.Tdq != 0 {
		moving := 128
		if t.width > 64 {
			moving = 96
		}
		args.To1, args.To2 = a.Dq, 0
		pass("att_dq", a.Heads, moving, 0, append(queries(0, attRows), keys(2, moving)...)...)
	}
}

// maps are those of the launch planned last.
func (p *planner) maps(maps ...TensorMap) {
	if p.err == nil {
		p.steps[len(p.steps)-1].(*Launch).Maps = maps
	}
}
