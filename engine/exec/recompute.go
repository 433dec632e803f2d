package exec

// Recompute says how much of the forward pass is run a second time instead of being kept (activation checkpointing,
// Chen et al. 2016, arXiv:1604.06174). It changes memory and time and not one bit of the results.
type Recompute struct {
	// Layers is how many layers are recomputed, the first ones, whose values would be kept longest. 0 is none; more
	// than there are is all.
	Layers int
	// Auto takes the least number of layers, Layers or more, with which the arena is at most Limit bytes; where even
	// all do not fit, Compile gives an error that is ErrMemory.
	Auto  bool
	Limit int64
}

// recompute gives a program in which the values inside the first n layers are not kept from the forward to the
// backward pass: what a backward step reads of them is made a second time, just before the first that does. Kept are
// the layer's boundary (what other layers' forward steps read) and the outputs. A second run makes only what is needed
// of it: LoRA's xA without the layer's output, say.
func (r *ir) recompute(n int) *ir {
	out := *r
	out.values = append([]value(nil), r.values...)
	out.steps = nil
	rw := rewrite{ir: r, out: &out, layers: n, clone: map[int]int{}, done: map[int]bool{}}
	rw.mark()
	for i := range r.steps {
		s := r.steps[i]
		s.in, s.out = append([]int(nil), s.in...), append([]int(nil), s.out...)
		if s.Backward {
			for j, v := range s.in {
				s.in[j] = rw.again(v)
			}
		}
		out.steps = append(out.steps, s)
	}
	out.drop()
	return &out
}

type rewrite struct {
	*ir
	out      *ir
	layers   int
	producer []int        // step of every value, -1 for inputs
	kept     []bool       // stays from forward to backward
	needed   []bool       // dropped, and made again
	clone    map[int]int  // dropped value -> the value made again
	done     map[int]bool // steps made again
}

// inside reports whether step i belongs to the forward pass of a recomputed layer. The head, with the loss, is in none.
func (rw *rewrite) inside(i int) bool {
	if i < 0 {
		return false
	}
	s := &rw.steps[i]
	return !s.Backward && s.Layer >= 0 && s.Layer < min(rw.layers, rw.ir.layers)
}

// mark finds what is kept and what is needed again.
func (rw *rewrite) mark() {
	rw.producer = rw.producers()
	rw.kept, rw.needed = make([]bool, len(rw.values)), make([]bool, len(rw.values))
	for v := range rw.values {
		rw.kept[v] = !rw.inside(rw.producer[v])
	}
	for _, v := range rw.outputs {
		rw.kept[v] = true
	}
	for _, s := range rw.steps {
		for _, v := range s.in {
			if p := rw.producer[v]; p >= 0 && !s.Backward && s.Layer != rw.steps[p].Layer {
				rw.kept[v] = true
			}
		}
	}
	for _, s := range rw.steps {
		if s.Backward {
			for _, v := range s.in {
				rw.need(v)
			}
		}
	}
}

func (rw *rewrite) need(v int) {
	if rw.kept[v] || rw.needed[v] {
		return
	}
	rw.needed[v] = true
	for _, in := range rw.steps[rw.producer[v]].in {
		rw.need(in)
	}
}

// again is the value to read in the backward pass for v: v itself if it was kept, otherwise the one made again, by
// steps that are appended here if they were not yet.
func (rw *rewrite) again(v int) int {
	if rw.kept[v] {
		return v
	}
	i := rw.producer[v]
	if !rw.done[i] {
		rw.done[i] = true
		s := rw.steps[i]
		in := make([]int, len(s.in))
		for j, w := range s.in {
			in[j] = rw.again(w)
		}
		made := make([]int, len(s.out))
		for j, w := range s.out {
			made[j] = unwanted
			if w != unwanted && rw.needed[w] {
				made[j] = len(rw.out.values)
				rw.clone[w] = made[j]
				rw.out.values = append(rw.out.values, rw.values[w])
			}
		}
		s.in, s.out, s.Again = in, made, true
		rw.out.steps = append(rw.out.steps, s)
	}
	return rw.clone[v]
}

// drop turns outputs that nobody reads into unwanted ones and removes steps that are left without any.
func (r *ir) drop() {
	read := make([]bool, len(r.values))
	for _, v := range r.outputs {
		read[v] = true
	}
	kept := len(r.steps)
	for i := len(r.steps) - 1; i >= 0; i-- {
		s := &r.steps[i]
		live := false
		for j, v := range s.out {
			switch {
			case v == unwanted:
			case read[v] || r.values[v].kind == isInput:
				live = true
			default:
				s.out[j] = unwanted
			}
		}
		if !live {
			continue
		}
		for _, v := range s.in {
			read[v] = true
		}
		kept--
		r.steps[kept] = *s
	}
	r.steps = r.steps[kept:]
}
