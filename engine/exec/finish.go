package exec

import (
	"encoding/binary"
	"fmt"
	"math"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// finish adds what is not in the graph: outputs, the line between forward and backward, accumulation, scratch.
func (b *builder) finish(outputs G.Nodes) error {
	for _, n := range outputs {
		b.outputs = append(b.outputs, b.valueOf[n.ID()])
	}
	producer := b.producers()
	loss := -1
	if p := producer[b.outputs[0]]; p >= 0 {
		loss = p
	}
	for i := range b.steps {
		b.steps[i].Backward = loss >= 0 && i > loss
	}
	b.layers = max(0, len(b.o.Layers)-1)
	b.nameBackward(producer)
	if err := b.accumulate(producer); err != nil {
		return err
	}
	b.drop()
	return nil
}

// producers is the step of every value, -1 for inputs and constants.
func (r *ir) producers() []int {
	p := make([]int, len(r.values))
	for v := range p {
		p[v] = -1
	}
	for i, s := range r.steps {
		for _, v := range s.out {
			if v != unwanted && r.values[v].kind == inArena {
				p[v] = i
			}
		}
	}
	return p
}

// nameBackward finds the layer of backward steps, for messages: the highest layer whose forward values or weights a
// step reads, or else that of the gradients it reads. The head counts as no layer.
func (b *builder) nameBackward(producer []int) {
	for i := range b.steps {
		s := &b.steps[i]
		if s.Backward {
			s.Layer = -1
			gradients := -1
			for _, v := range s.in {
				if p := producer[v]; p < 0 {
					s.Layer = max(s.Layer, b.inputLayer(v))
				} else if l := b.steps[p].Layer; b.steps[p].Backward {
					gradients = max(gradients, l)
				} else {
					s.Layer = max(s.Layer, l)
				}
			}
			if s.Layer < 0 {
				s.Layer = gradients
			}
		}
	}
	for i := range b.steps {
		if b.steps[i].Layer >= b.layers {
			b.steps[i].Layer = -1
		}
	}
}

func (b *builder) inputLayer(v int) int {
	if l, ok := b.layerOf[v]; ok && b.values[v].Dtype != kernels.Int32 {
		return l
	}
	return -1
}

// accumulate puts acc += gradient right behind the step that makes the gradient, so that its memory is free again at
// once. A gradient that is a sum is added term by term, each as soon as it is made: a tied embedding's first term comes
// from the loss and would live through the whole backward pass.
func (b *builder) accumulate(producer []int) error {
	readers := make([]int, len(b.values))
	for _, s := range b.steps {
		for _, v := range s.in {
			readers[v]++
		}
	}
	for _, v := range b.outputs {
		readers[v]++
	}
	behind := map[int][]step{}
	for _, a := range b.o.Accumulate {
		grad := b.valueOf[a.Grad.ID()]
		if _, ok := b.named[a.Into]; ok || a.Into == "" {
			return fmt.Errorf("accumulate into %q: there is an input of this name, or none was given", a.Into)
		}
		t := Type{Dtype: kernels.Float32, Shape: b.values[grad].Shape}
		acc := b.value(value{Type: t, kind: isInput, index: len(b.inputs)})
		b.inputs = append(b.inputs, Input{Name: a.Into, Type: t, Written: true})
		b.named[a.Into] = acc
		for _, term := range b.terms(grad, producer, readers) {
			p := producer[term]
			if p < 0 {
				return fmt.Errorf("accumulate into %q: node %d is no gradient but an input", a.Into, a.Grad.ID())
			}
			s := step{Step: b.steps[p].Step, in: []int{acc, term}, out: []int{acc}}
			s.Kernel, s.Weight = kernels.Accumulate{}, a.Into
			behind[p] = append(behind[p], s)
		}
	}
	var steps []step
	for i, s := range b.steps {
		steps = append(append(steps, s), behind[i]...)
	}
	b.steps = steps
	return nil
}

// terms are what is added up to v, or v itself if it is no sum or has readers. Only float32 sums are taken apart: they
// round as the accumulation does.
func (b *builder) terms(v int, producer, readers []int) []int {
	p := producer[v]
	if p < 0 || readers[v] > 0 || b.values[v].Dtype != kernels.Float32 || b.steps[p].Kernel.Name() != (kernels.Add{}).Name() {
		return []int{v}
	}
	var ts []int
	for _, term := range b.steps[p].in {
		readers[term]-- // the sum goes
		ts = append(ts, b.terms(term, producer, readers)...)
	}
	return ts
}

// constant keeps a constant of gorgonia's as bytes.
func (b *builder) constant(n *G.Node, v G.Value) error {
	d, err := b.stored(v.Dtype(), true)
	if err != nil {
		return err
	}
	var data []byte
	switch x := v.Data().(type) {
	case float32:
		data = binary.LittleEndian.AppendUint32(nil, math.Float32bits(x))
	case []float32:
		for _, f := range x {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
		}
	case int32:
		data = binary.LittleEndian.AppendUint32(nil, uint32(x))
	case []int32:
		for _, i := range x {
			data = binary.LittleEndian.AppendUint32(data, uint32(i))
		}
	default:
		return fmt.Errorf("constant of %T; float32 and int32 are possible, or make it an input", x)
	}
	t := Type{Dtype: d, Shape: append([]int{}, v.Shape()...)}
	if int64(len(data)) != t.Bytes() {
		return fmt.Errorf("constant of %d bytes for %v, which takes %d; make it an input", len(data), t, t.Bytes())
	}
	b.valueOf[n.ID()] = b.value(value{Type: t, kind: isConst, index: len(b.consts)})
	b.consts = append(b.consts, data)
	return nil
}

// arrange chooses what is recomputed and places everything in the arena.
func (r *ir) arrange(o Options) (*Program, error) {
	from := min(max(o.Recompute.Layers, 0), r.layers)
	to := from
	if o.Recompute.Auto {
		to = r.layers
	}
	least := int64(math.MaxInt64)
	for n := from; n <= to; n++ {
		q := r
		if n > 0 {
			q = r.recompute(n)
		}
		q.scratch(o.Scratch)
		as := q.lifetimes(!o.NoInPlace)
		if most, _ := peak(as, len(q.steps)); o.Recompute.Auto && most > o.Recompute.Limit {
			least = min(least, most)
			continue // no arrangement can fit: placing need not be tried
		}
		p := q.layOut(as)
		if !o.Recompute.Auto || p.plan.Arena <= o.Recompute.Limit {
			p.plan.Recomputed = n
			return p, nil
		}
		least = min(least, p.plan.Arena)
	}
	return nil, fmt.Errorf("%w: activations take %.1f MiB at the least, with all %d layers recomputed, and %.1f MiB are free",
		ErrMemory, float64(least)/(1<<20), r.layers, float64(o.Recompute.Limit)/(1<<20))
}

// scratch asks what every step needs, with the outputs that are wanted.
func (r *ir) scratch(need func(k kernels.Kernel, in, out []Type) int64) {
	if need == nil {
		return
	}
	types := func(vs []int) []Type {
		ts := make([]Type, len(vs))
		for i, v := range vs {
			if v != unwanted {
				ts[i] = r.values[v].Type
			}
		}
		return ts
	}
	for i := range r.steps {
		s := &r.steps[i]
		s.scratch = need(s.Kernel, types(s.in), types(s.out))
	}
}
