package oniguruma

import (
	"unicode/utf8"
	"unsafe"
)

// table is a program made into states. A state is the list of instructions at which a match may be, in the order in
// which backtracking would try them; what stands behind an end of the match in that order never counts. For each class
// of the next character it says which state follows and whether the match could end before that character.
type table struct {
	abc   *alphabet
	back  bool     // the character before a match counts
	next  []uint32 // by row + class: row of what follows << 1 | whether a match ends here; row 0 leads nowhere
	start []uint32 // the row to begin with, by the class of the character before
}

// The limits to a table; beyond them a program runs by backtracking.
const (
	maxCells = 1 << 19 // of next
	maxWork  = 1 << 21 // instructions looked at to make it
)

type tableMaker struct {
	prog   *program
	table  *table
	rows   map[string]uint32
	states []state // by row / classes
	seen   []int   // by instruction: the round in which it was looked at
	added  []int   // and the one in which it was added to a state
	stack  []int32
	round  int
	work   int
}

type state struct {
	before uint16 // class of the character before, where that counts
	at     []int32
}

// newTable is nil for programs that cannot become a table, or not one of reasonable size.
func newTable(prog *program, abc *alphabet) *table {
	if !prog.table {
		return nil
	}
	m := &tableMaker{prog: prog, table: &table{abc: abc, back: prog.back}, rows: map[string]uint32{},
		seen: make([]int, len(prog.code)), added: make([]int, len(prog.code))}
	m.row(state{})
	for class := range abc.classes {
		m.table.start = append(m.table.start, m.row(state{uint16(class), []int32{prog.start}}))
	}
	for k := 0; k < len(m.states); k++ {
		for class := range abc.classes {
			after, ends := m.step(m.states[k], uint16(class))
			cell := m.row(state{uint16(class), after}) << 1
			if ends {
				cell |= 1
			}
			m.table.next[k*abc.classes+class] = cell
			if m.work > maxWork || len(m.table.next) > maxCells {
				return nil
			}
		}
	}
	return m.table
}

// row is the row of a state, which is added if it is new.
func (m *tableMaker) row(s state) uint32 {
	if len(s.at) == 0 || !m.prog.back {
		s.before = 0
	}
	key := string([]byte{byte(s.before), byte(s.before >> 8)})
	if len(s.at) > 0 {
		key += string(unsafe.Slice((*byte)(unsafe.Pointer(&s.at[0])), 4*len(s.at)))
	}
	row, ok := m.rows[key]
	if !ok {
		row = uint32(len(m.table.next))
		m.rows[key] = row
		m.states = append(m.states, s)
		m.table.next = append(m.table.next, make([]uint32, m.table.abc.classes)...)
	}
	return row
}

// step is where a state goes with a character of a class, and whether a match ends before it.
func (m *tableMaker) step(s state, class uint16) (after []int32, ends bool) {
	m.round++
	for _, from := range s.at {
		m.stack = append(m.stack[:0], from)
		for len(m.stack) > 0 {
			pc := m.stack[len(m.stack)-1]
			m.stack = m.stack[:len(m.stack)-1]
			if m.seen[pc] == m.round {
				continue
			}
			m.seen[pc] = m.round
			m.work++
			switch in := &m.prog.code[pc]; in.op {
			case opMatch:
				return after, true
			case opChar:
				if m.added[in.x] == m.round || !m.table.abc.in(in.arg, class) {
					continue
				}
				m.added[in.x] = m.round
				after = append(after, in.x)
				if m.prog.code[in.x].op == opMatch {
					return after, false // whatever comes later in the order does not count
				}
			case opAhead:
				if m.table.abc.in(in.arg, class) {
					m.stack = append(m.stack, in.x)
				}
			case opBehind:
				if m.table.abc.in(in.arg, s.before) {
					m.stack = append(m.stack, in.x)
				}
			case opFork:
				m.stack = append(m.stack, in.y, in.x)
			}
		}
	}
	return after, false
}

// find is the first match that begins at place at or behind it. Where there is none lo is below 0, and so is hi, unless
// quota, the number of bytes that may be read, was used up: then hi is where to go on otherwise.
func (t *table) find(s string, at int, quota *int) (lo, hi int) {
	var before uint16
	if t.back {
		before, _ = t.abc.before(s, at)
	}
	for {
		row := t.start[before]
		for !t.back && at < len(s) && s[at] < utf8.RuneSelf && t.next[row+uint32(t.abc.ascii[s[at]])] == 0 {
			at++ // no match begins here, as is most often so
			*quota--
		}
		end, i := failed, at
		for {
			var class uint16
			n := 1
			if i < len(s) && s[i] < utf8.RuneSelf {
				class = t.abc.ascii[s[i]]
			} else {
				class, n = t.abc.at(s, i)
			}
			cell := t.next[row+uint32(class)]
			if cell&1 != 0 {
				end = i
			}
			if row = cell >> 1; row == 0 {
				break
			}
			i += n
		}
		*quota -= i - at
		if end >= 0 {
			return at, end
		}
		class, n := t.abc.at(s, at)
		if n == 0 {
			return failed, failed
		}
		before, at = class, at+n
		if !t.back {
			before = 0
		}
		if *quota <= 0 {
			return failed, at
		}
	}
}
