package cpu

// attentionShape is what the attention kernels have in common.
type attentionShape struct {
	tokens, heads, kv, dh int
}

func newAttentionShape(q, k View) attentionShape {
	return attentionShape{tokens: q.Shape[0], heads: q.Shape[1], kv: k.Shape[1], dh: q.Shape[2]}
}

// run is a run of equal segment numbers: tokens [lo, hi), padding if the number is -1.
type run struct {
	lo, hi  int
	padding bool
}

func runsOf(segments []int32) []run {
	var runs []run
	for t, s := range segments {
		if t == 0 || s != segments[t-1] {
			runs = append(runs, run{lo: t, padding: s < 0})
		}
		runs[len(runs)-1].hi = t + 1
	}
	return runs
}
