package exec

import "attune/engine/op"

// Work is one step with what it computes and moves.
type Work struct {
	Step
	FLOP  int64 // by the operation's own count
	Bytes int64 // of its operands as they are stored, each counted once
}

// Work is what every step of the program does, in order.
func (p *Program) Work() []Work {
	ws := make([]Work, len(p.steps))
	for i, s := range p.steps {
		ws[i] = Work{Step: s.Step, FLOP: s.costs().FLOP}
		for _, v := range s.in {
			ws[i].Bytes += p.values[v].Bytes()
		}
		for _, v := range s.out {
			if v != unwanted {
				ws[i].Bytes += p.values[v].Bytes()
			}
		}
	}
	return ws
}

// costs is the step's own count of its work; an accumulation has none.
func (s *step) costs() op.Cost {
	if s.cost == nil {
		return op.Cost{}
	}
	wanted := make([]bool, len(s.out))
	for i, v := range s.out {
		wanted[i] = v != unwanted
	}
	return s.cost(wanted)
}
