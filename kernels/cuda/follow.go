package cuda

import (
	"fmt"
	"slices"
)

// PlanFollowed is Plan of c, and then of each of sums: kernels.Accumulate of one of c's outputs. Steps of c that end such an
// output add it up, too, where they can (linear_bwd's dA and dB), to the same bits.
func PlanFollowed(t Target, c Call, sums []Call, scratch View) ([]Step, error) {
	p := planner{target: t, base: scratch.Ptr}
	for _, s := range sums {
		if err := check(s.Kernel, s.In, s.Out); err != nil {
			return nil, fmt.Errorf("%s behind %s: %w", s.Kernel.Name(), c.Kernel.Name(), err)
		}
		if slices.ContainsFunc(slices.Concat(c.In, c.Out), s.In[0].overlaps) {
			return nil, fmt.Errorf("%s behind %s: it changes an operand", s.Kernel.Name(), c.Kernel.Name())
		}
	}
	p.follow = slices.Clone(sums)
	if err := p.kernel(c.Kernel, c.In, c.Out); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Kernel.Name(), err)
	}
	if p.need > scratch.Bytes() {
		return nil, fmt.Errorf("%s: %d bytes of scratch, needs %d", c.Kernel.Name(), scratch.Bytes(), p.need)
	}
	for _, s := range p.follow {
		if err := p.kernel(s.Kernel, s.In, s.Out); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Kernel.Name(), err)
		}
	}
	return p.steps, nil
}

// overlaps says whether two operands share memory.
func (v View) overlaps(w View) bool {
	return v.Wanted() && w.Wanted() && v.Ptr < w.Ptr+Ptr(w.Bytes()) && w.Ptr < v.Ptr+Ptr(v.Bytes())
}

// takeIn is the buffer that y is to be added to by the step that makes it, or the zero View where there is none. A buffer that
// more than one is added to is left to launches of their own, which keep the order.
func (p *planner) takeIn(y View) View {
	for i, s := range p.follow {
		sum := s.In[0]
		if s.In[1].Ptr != y.Ptr || s.In[1].Dtype != y.Dtype || s.Out[0].Ptr != sum.Ptr {
			continue
		}
		if slices.ContainsFunc(p.follow[:i], func(o Call) bool { return sum.overlaps(o.In[0]) }) ||
			slices.ContainsFunc(p.follow[i+1:], func(o Call) bool { return sum.overlaps(o.In[0]) }) {
			continue
		}
		p.follow = slices.Delete(p.follow, i, i+1)
		return sum
	}
	return View{}
}
