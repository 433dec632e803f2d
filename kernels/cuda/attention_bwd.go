package cuda

import "attune/kernels"

// planAttentionBwd makes dk and dv by tiles of keys and dq by tiles of queries: each sum is in one place, in a fixed order.
func planAttentionBwd(p *planner, kernel kernels.Kernel, in, out []View) {
	k, dq, dk, dv := kernel.(kernels.AttentionBwd), out[0], out[1], out[2]
	if !dq.Wanted() && !dk.Wanted() && !dv.Wanted() {
		return
	}
	a := p.attention(in[0], in[1], in[2], k.Scale, k.SoftCap)
	a.spans(p, in[3], View{}, k.Window, true)
	a.O, a.Lse, a.Dout = in[4].Ptr, in[5].Ptr, in[6].Ptr
	a.To, a.Tdout = int32(in[4].Dtype), int32(in[6].Dtype)
	a.Dq, a.Dk, a.Dv = dq.Ptr, dk.Ptr, dv.Ptr
	a.Tdq, a.Tdk, a.Tdv = int32(dq.Dtype), int32(dk.Dtype), int32(dv.Dtype)
	a.Stat = p.scratch(kernels.Float32, int(a.Heads), int(a.Rows), 2).Ptr
	launch(p, "att_delta", 256, 0, a, blocks(int(a.Rows)*int(a.Heads), 8))

	if bfloat16s(a.Tq, a.Tk, a.Tv, a.To, a.Tdout, a.Tdq, a.Tdk, a.Tdv) {
		if a.hopper(p) && a.Dh < widestHead && a.Capped == 0 { // others' sums have no room in its registers
			a.backwardHopper(p)
		} else {
			a.backward(p)
		}
		return
	}
	s := a.float32Tile()
	if dk.Wanted() || dv.Wanted() {
		launch(p, s.name("att_dkdv_f32"), 256, s.bytes(4, 2), a, int(a.Kv), blocks(int(a.Tokens), s.rows))
	}
	if dq.Wanted() {
		launch(p, s.name("att_dq_f32"), 256, s.bytes(4, 1), a, int(a.Heads), blocks(int(a.Tokens), s.rows))
	}
}

// backward launches the passes of the bfloat16 kernels that are wanted.
func (a *attArgs) backward(p *planner) {
	t := a.tile()
	fixed, moving := attRows, 64
	switch {
	case t.width == widestHead:
		fixed, moving = 64, 16
	case t.width > 64:
		moving = 32
	}
	pass := func(name string, heads int32) {
		shared := t.bytes(2*fixed+4*moving) + 2*moving*2*4 // and lse and delta of two moving tiles
		launch(p, t.name(name), 2*fixed, shared, *a, int(heads), blocks(int(a.Tokens), fixed))
	}
	switch {
	case t.width < widestHead:
		if a.Tdk != 0 || a.Tdv != 0 {
			pass("att_dkdv", a.Kv)
		}
	default: // no room for the sums of both
		if a.Tdk != 0 {
			pass("att_dk", a.Kv)
		}
		if a.Tdv != 0 {
			pass("att_dv", a.Kv)
		}
	}
	if a.Tdq != 0 {
		pass("att_dq", a.Heads)
	}
}
