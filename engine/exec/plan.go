package exec

import (
	"cmp"
	"slices"

	"attune/engine/op"
)

// Align is the alignment in bytes of everything in an arena: a cache line, and the widest vector.
const Align = 64

func aligned(n int64) int64 { return (n + Align - 1) / Align * Align }

// alloc is one piece of the arena with the steps, inclusive, during which it is taken.
type alloc struct {
	first, last int
	size        int64
	off         int64
	values      []int // those that lie in it, one after the other; none for scratch
	scratchOf   int   // step, or -1
}

// Plan is what a program takes, memory in bytes. It is exact: nothing else is allocated while it runs.
type Plan struct {
	// Arena holds activations, gradients and scratch.
	Arena int64
	// Peak is the most that is alive at one step, which no arrangement can go below, and PeakAt that step.
	Peak   int64
	PeakAt string
	// Scratch is the most working memory a single step takes, within the arena.
	Scratch int64
	// Steps counts the kernels of a run; Again of them are run for the second time because of recompute.
	Steps, Again int
	// Recomputed of Layers layers are recomputed.
	Recomputed, Layers int
	// Cost is the work of a run by the operations' own count, those run again included.
	Cost op.Cost
}

// lifetimes gives the allocations: one for each value of the arena, unless an output takes over the memory of an input
// that dies where the output is made, and one for the scratch of each step.
func (r *ir) lifetimes(inPlace bool) []alloc {
	last := make([]int, len(r.values))
	for i, s := range r.steps {
		for _, v := range s.in {
			last[v] = i
		}
	}
	for _, v := range r.outputs {
		last[v] = len(r.steps)
	}
	var as []alloc
	allocOf := make([]int, len(r.values))
	for i, s := range r.steps {
		for o, v := range s.out {
			if v == unwanted || r.values[v].kind != inArena {
				continue
			}
			a := -1
			if inPlace {
				a = r.takeOver(s, i, o, last, allocOf)
			}
			if a >= 0 {
				as[a].values = append(as[a].values, v)
				as[a].last = max(i, last[v])
			} else {
				a = len(as)
				as = append(as, alloc{first: i, last: max(i, last[v]), size: aligned(r.values[v].Bytes()), values: []int{v}, scratchOf: -1})
			}
			allocOf[v] = a
		}
		if s.scratch > 0 {
			as = append(as, alloc{first: i, last: i, size: aligned(s.scratch), scratchOf: i})
		}
	}
	return as
}

// takeOver finds the allocation whose memory output o of step i may use, or -1.
func (r *ir) takeOver(s step, i, o int, last, allocOf []int) int {
	for _, p := range overwrites[s.Kernel.Name()] {
		if p.Out != o || p.In >= len(s.in) {
			continue
		}
		v, w := s.in[p.In], s.out[o]
		from, to := r.values[v], r.values[w]
		once := slices.Index(s.in, v) == p.In && !slices.Contains(s.in[p.In+1:], v)
		if from.kind == inArena && last[v] == i && once && from.Dtype == to.Dtype && from.Elems() == to.Elems() {
			return allocOf[v]
		}
	}
	return -1
}

// peak is the most bytes alive at one step, and that step.
func peak(as []alloc, steps int) (most int64, at int) {
	delta := make([]int64, steps+2)
	for _, a := range as {
		delta[a.first] += a.size
		delta[a.last+1] -= a.size
	}
	var n int64
	for i, d := range delta {
		n += d
		if n > most {
			most, at = n, i
		}
	}
	return most, min(at, steps-1)
}

// firstFit gives every allocation its offset, the biggest first, each at the lowest place that is free during its life
// (greedy by size, Pisarchyk and Lee 2020, arXiv:2001.03288), and returns the size of the arena.
func firstFit(as []alloc) int64 {
	order := make([]int, len(as))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(as[b].size, as[a].size), cmp.Compare(a, b)) })
	var arena int64
	placed := make([]int, 0, len(as)) // ascending offsets
	for _, i := range order {
		a := &as[i]
		var off int64
		for _, j := range placed {
			b := &as[j]
			if b.last < a.first || a.last < b.first {
				continue
			}
			if b.off >= off+a.size {
				break // offsets ascend: the gap before b holds a
			}
			off = max(off, b.off+b.size)
		}
		a.off = off
		at, _ := slices.BinarySearchFunc(placed, off, func(j int, off int64) int { return cmp.Compare(as[j].off, off) })
		placed = slices.Insert(placed, at, i)
		arena = max(arena, off+a.size)
	}
	return arena
}

// layOut places every value and every step's scratch.
func (r *ir) layOut(as []alloc) *Program {
	p := &Program{ir: *r, at: make([]int64, len(r.values)), allocs: as}
	p.plan.Arena = firstFit(as)
	for _, a := range as {
		for _, v := range a.values {
			p.at[v] = a.off
		}
		if a.scratchOf >= 0 {
			p.steps[a.scratchOf].place = a.off
			p.plan.Scratch = max(p.plan.Scratch, a.size)
		}
	}
	p.plan.Steps, p.plan.Layers = len(p.steps), p.layers
	if len(p.steps) > 0 {
		at := 0
		p.plan.Peak, at = peak(as, len(p.steps))
		p.plan.PeakAt = p.steps[at].String()
	}
	for _, s := range p.steps {
		if s.Again {
			p.plan.Again++
		}
		c := s.costs()
		p.plan.Cost.FLOP, p.plan.Cost.Bytes = p.plan.Cost.FLOP+c.FLOP, p.plan.Cost.Bytes+c.Bytes
	}
	return p
}
