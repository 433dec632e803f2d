package oniguruma

import (
	"fmt"
	"maps"
)

// machine runs a program by backtracking. Whether a match follows from an instruction at a place does not depend on how
// it was reached, so no fork is tried twice at the same place: it has failed there, and fails again.
type machine struct {
	r     *Regexp
	s     string
	stack []choice
	path  []visit // the forks that lead to where the machine is
	tried visits
	inner map[visit]int32 // where the match of an inner program from a fork ends, if there is one
	prune int             // entries of inner from which old ones are dropped
	steps int
	err   error
}

// choice is what to try if what was tried first leads nowhere.
type choice struct {
	pc   int32
	pos  int32
	path int32 // length of the path
}

// visit is a fork at a place of the text.
type visit struct{ fork, pos int32 }

const failed = -1

const (
	maxInner = 1 << 20 // entries of inner
	maxPath  = 1 << 24 // entries of path
	maxBack  = 1 << 17 // bytes before the search that look-behinds, one within another, may cover
)

func (r *Regexp) machine(s string) *machine {
	m, _ := r.machines.Get().(*machine)
	if m == nil {
		m = &machine{r: r, inner: map[visit]int32{}}
	}
	m.s, m.steps, m.err, m.prune = s, 0, nil, maxInner/4
	m.tried.reset(r.prog.forks, len(s))
	return m
}

func (r *Regexp) release(m *machine) {
	m.s = ""
	clear(m.inner)
	r.machines.Put(m)
}

// find is the first match that begins at place at or behind it; lo is below 0 if there is none.
func (m *machine) find(at int) (lo, hi int, err error) {
	for {
		m.tried.forget(at - maxBack)
		if len(m.inner) > m.prune {
			maps.DeleteFunc(m.inner, func(v visit, _ int32) bool { return int(v.pos) < at-maxBack })
			m.prune = max(m.prune, 2*len(m.inner))
		}
		hi := m.run(m.r.prog.start, at, false)
		if m.err != nil {
			return failed, failed, m.err
		}
		if hi >= 0 {
			return at, hi, nil
		}
		_, n := m.r.alphabet.at(m.s, at)
		if n == 0 {
			return failed, failed, nil
		}
		at += n
	}
}

// run is the end of the match of the program that begins at instruction pc, from place pos on, or failed.
func (m *machine) run(pc int32, pos int, inner bool) int {
	base, pathBase := len(m.stack), len(m.path)
	end := m.explore(pc, pos, inner, base)
	for _, v := range m.path[pathBase:] {
		switch {
		case inner && end >= 0:
			m.inner[v] = int32(end)
		case end == int(v.pos): // the next match may begin here, and has not failed
			m.tried.unset(v)
		}
	}
	m.stack, m.path = m.stack[:base], m.path[:pathBase]
	if len(m.inner) > maxInner {
		m.giveUp()
	}
	return end
}

func (m *machine) explore(pc int32, pos int, inner bool, base int) int {
	code, abc := m.r.prog.code, m.r.alphabet
	for {
		m.steps++
		in := &code[pc]
		ok := false
		switch in.op {
		case opMatch:
			return pos
		case opChar:
			class, n := abc.at(m.s, pos)
			if ok = n > 0 && abc.in(in.arg, class); ok {
				pc, pos = in.x, pos+n
			}
		case opPrior:
			class, n := abc.before(m.s, pos)
			if ok = n > 0 && abc.in(in.arg, class); ok {
				pc, pos = in.x, pos-n
			}
		case opAhead:
			class, _ := abc.at(m.s, pos)
			ok, pc = abc.in(in.arg, class), in.x
		case opBehind:
			class, _ := abc.before(m.s, pos)
			ok, pc = abc.in(in.arg, class), in.x
		case opFork:
			v := visit{in.arg, int32(pos)}
			if ok = m.tried.set(v); !ok && inner {
				if end, known := m.inner[v]; known {
					return int(end)
				}
			}
			if ok {
				m.path = append(m.path, v)
				m.stack = append(m.stack, choice{in.y, int32(pos), int32(len(m.path))})
				pc = in.x
			}
			if len(m.path) > maxPath || m.tried.full {
				m.giveUp()
				return failed
			}
		case opLook, opNotLook:
			ok, pc = (m.run(in.arg, pos, true) >= 0) == (in.op == opLook), in.x
		case opAtomic:
			end := m.run(in.arg, pos, true)
			if ok = end >= 0; ok {
				pc = in.x
				if end > pos {
					pc = in.y
				}
				pos = end
			}
		}
		if ok {
			continue
		}
		if len(m.stack) == base || m.err != nil {
			return failed
		}
		top := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		pc, pos = top.pc, int(top.pos)
		m.path = m.path[:top.path]
	}
}

func (m *machine) giveUp() {
	m.err = fmt.Errorf("the pattern looks too far ahead in a text of %d bytes; encode it in shorter parts", len(m.s))
}
