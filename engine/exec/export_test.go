package exec

import "fmt"

// Poison turns on what the tag invariants turns on.
func (r *Runner) Poison() { r.poisons = true }

// CheckOwnership walks through the steps and keeps for every cache line of the arena which value was written there
// last. An input that has lost a line, or memory beyond the arena, is an error. It knows nothing of lifetimes.
func (p *Program) CheckOwnership() error {
	lines := make([]int, p.plan.Arena/Align)
	const scratch = -2
	claim := func(off, n int64, v int) error {
		if off%Align != 0 || off < 0 || off+n > p.plan.Arena {
			return fmt.Errorf("value %d at %d to %d of an arena of %d", v, off, off+n, p.plan.Arena)
		}
		for l := off / Align; l*Align < off+n; l++ {
			lines[l] = v
		}
		return nil
	}
	owned := func(v int) error {
		x := p.values[v]
		for l := p.at[v] / Align; x.kind == inArena && l*Align < p.at[v]+x.Bytes(); l++ {
			if lines[l] != v {
				return fmt.Errorf("line %d of value %d (%v) belongs to %d", l, v, x.Type, lines[l])
			}
		}
		return nil
	}
	for i, s := range p.steps {
		for j, v := range s.in {
			if err := owned(v); err != nil {
				return fmt.Errorf("step %d, %v, input %d: %w", i, s.Step, j, err)
			}
		}
		if err := claim(s.place, s.scratch, scratch); err != nil {
			return fmt.Errorf("step %d, %v, scratch: %w", i, s.Step, err)
		}
		for j, v := range s.in { // scratch must not lie on inputs
			if err := owned(v); err != nil {
				return fmt.Errorf("step %d, %v, input %d and scratch: %w", i, s.Step, j, err)
			}
		}
		for j, v := range s.out {
			if v == unwanted || p.values[v].kind != inArena {
				continue
			}
			if err := claim(p.at[v], p.values[v].Bytes(), v); err != nil {
				return fmt.Errorf("step %d, %v, output %d: %w", i, s.Step, j, err)
			}
		}
		for j, v := range s.out { // nor outputs on each other
			if v != unwanted && p.values[v].kind == inArena {
				if err := owned(v); err != nil {
					return fmt.Errorf("step %d, %v, output %d: %w", i, s.Step, j, err)
				}
			}
		}
		if err := p.checkInputsUntouched(s); err != nil {
			return fmt.Errorf("step %d, %v: %w", i, s.Step, err)
		}
	}
	for j, v := range p.outputs {
		if err := owned(v); err != nil {
			return fmt.Errorf("output %d after the run: %w", j, err)
		}
	}
	return nil
}

// checkInputsUntouched allows outputs on inputs only where the table says so.
func (p *Program) checkInputsUntouched(s step) error {
	for o, w := range s.out {
		for i, v := range s.in {
			if w == unwanted || p.values[v].kind != inArena || p.values[w].kind != inArena {
				continue
			}
			if p.at[v] >= p.at[w]+p.values[w].Bytes() || p.at[w] >= p.at[v]+p.values[v].Bytes() {
				continue
			}
			allowed := false
			for _, pair := range overwrites[s.Kernel.Name()] {
				allowed = allowed || pair == overwrite{In: i, Out: o} && p.at[v] == p.at[w]
			}
			if !allowed {
				return fmt.Errorf("output %d lies on input %d", o, i)
			}
		}
	}
	return nil
}

// Overwrites counts outputs that lie in an input's memory.
func (p *Program) Overwrites() int {
	n := 0
	for _, a := range p.allocs {
		n += max(0, len(a.values)-1)
	}
	return n
}

// Unwanted counts the outputs of a step that are not wanted.
func (p *Program) Unwanted(step int) []int {
	var os []int
	for o, v := range p.steps[step].out {
		if v == unwanted {
			os = append(os, o)
		}
	}
	return os
}

// Interval is an allocation for tests of the placement alone.
type Interval struct {
	First, Last int
	Size        int64
	Off         int64 // set by Place
}

// Place runs firstFit and gives the arena's size and the most that lives at once.
func Place(is []Interval, steps int) (arena, live int64) {
	as := make([]alloc, len(is))
	for i, x := range is {
		as[i] = alloc{first: x.First, last: x.Last, size: x.Size}
	}
	arena = firstFit(as)
	for i := range is {
		is[i].Off = as[i].off
	}
	live, _ = peak(as, steps)
	return arena, live
}

// Offsets are the places of all values and all scratch.
func (p *Program) Offsets() []int64 {
	os := append([]int64(nil), p.at...)
	for _, s := range p.steps {
		os = append(os, s.place)
	}
	return os
}
