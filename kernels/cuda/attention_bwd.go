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

	s := a.float32Tile()
	if dk.Wanted() || dv.Wanted() {
		launch(p, s.name("att_dkdv_f32"), 256, s.bytes(4, 2), a, int(a.Kv), blocks(int(a.Tokens), s.rows))
	}
	if dq.Wanted() {
		launch(p, s.name("att_dq_f32"), 256, s.bytes(4, 1), a, int(a.Heads), blocks(int(a.Tokens), s.rows))
	}
}
