package oniguruma

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"
)

// program is what a pattern becomes: instructions that name those that follow them.
type program struct {
	code  []instr
	start int32
	forks int  // of instructions opFork, which are numbered
	table bool // no opLook and no opAtomic
	back  bool // some assertion looks at the character before
}

type instr struct {
	op  op
	arg int32 // opChar, opPrior, opAhead, opBehind: the set; opFork: its number; opLook, opAtomic: where the inner program begins
	x   int32 // what follows
	y   int32 // opFork: what follows if x leads nowhere; opAtomic: what follows a match that is not empty
}

type op uint8

const (
	opMatch   op = iota
	opChar       // takes a character of a set
	opPrior      // takes the character before, within a look-behind
	opFork       // tries x, then y
	opAhead      // the next character is in a set
	opBehind     // the character before is in a set
	opLook       // the inner program matches here
	opNotLook    // it does not
	opAtomic     // goes where the inner program's first match ends
)

// compiler builds a program from its end: each part is told what follows it.
type compiler struct {
	prog  program
	sets  []set
	known map[string]int32
	prior bool // the part is matched from its end to its beginning
}

var (
	errSize   = fmt.Errorf("the pattern becomes a program of more than %d instructions, which is not supported", maxProgram)
	errLong   = fmt.Errorf("over more than %d characters is not supported", maxBehind)
	errAtomic = errors.New("with an atomic group or a possessive repeat of more than a character is not supported")
)

// compile returns the program and the sets that it names.
func compile(n node) (program, []set, error) {
	c := compiler{known: map[string]int32{}, prog: program{table: true}}
	c.prog.start = c.whole(n)
	if len(c.prog.code) > maxProgram {
		return program{}, nil, errSize
	}
	return c.prog, c.sets, nil
}

func (c *compiler) emit(in instr) int32 {
	if len(c.prog.code) > maxProgram {
		return 0 // refused at the end
	}
	c.prog.code = append(c.prog.code, in)
	return int32(len(c.prog.code) - 1)
}

func (c *compiler) fork(x, y int32, lazy bool) int32 {
	if lazy {
		x, y = y, x
	}
	c.prog.forks++
	return c.emit(instr{op: opFork, arg: int32(c.prog.forks - 1), x: x, y: y})
}

// set is the index of a set.
func (c *compiler) set(s set) int32 {
	key := ""
	if len(s) > 0 {
		key = string(unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0]))))
	}
	k, ok := c.known[key]
	if !ok {
		k = int32(len(c.sets))
		c.known[key] = k
		c.sets = append(c.sets, s)
	}
	return k
}

// whole is a program of its own.
func (c *compiler) whole(n node) int32 {
	end := c.emit(instr{op: opMatch})
	return c.part(n, end, end)
}

// part emits a part and returns where it begins. What follows is next, or empty if the part has taken no character. The
// two differ within a repeat: when its body matches the empty string, Oniguruma leaves the repeat.
func (c *compiler) part(n node, next, empty int32) int32 {
	if len(c.prog.code) > maxProgram {
		return 0
	}
	if !nullable(n) {
		empty = next
	}
	switch n := n.(type) {
	case nodeSet:
		op := opChar
		if c.prior {
			op = opPrior
		}
		return c.emit(instr{op: op, arg: c.set(set(n)), x: next})
	case nodePeek:
		op := opAhead
		if n.behind {
			op, c.prog.back = opBehind, true
		}
		return c.emit(instr{op: op, arg: c.set(n.set), x: empty})
	case nodeCat:
		for i := range n {
			last := n[len(n)-1-i]
			if c.prior {
				last = n[i]
			}
			next, empty = c.two(next, empty, func(next, empty int32) int32 { return c.part(last, next, empty) })
		}
		return empty
	case nodeAlt:
		at := c.part(n[len(n)-1], next, empty)
		for i := len(n) - 2; i >= 0; i-- {
			at = c.fork(c.part(n[i], next, empty), at, false)
		}
		return at
	case nodeRepeat:
		return c.repeat(n, next, empty)
	case nodeAtomic:
		c.prog.table = false
		return c.emit(instr{op: opAtomic, arg: c.whole(n.sub), x: empty, y: next})
	case nodeLook:
		c.prog.table = false
		op := opLook
		if n.negative {
			op = opNotLook
		}
		outer := c.prior
		c.prior = n.behind
		sub := c.whole(n.sub)
		c.prior = outer
		return c.emit(instr{op: op, arg: sub, x: empty})
	}
	panic(fmt.Sprintf("oniguruma: a node of type %T", n)) // unreachable: the parser makes no other
}

// two emits a part for a beginning behind a taken character and for one at which none was taken.
func (c *compiler) two(next, empty int32, part func(next, empty int32) int32) (begins, beginsEmpty int32) {
	begins = part(next, next)
	if next == empty {
		return begins, begins
	}
	return begins, part(next, empty)
}

func (c *compiler) repeat(n nodeRepeat, next, empty int32) int32 {
	after, afterEmpty := next, empty // what follows the copies of the body that must match
	if n.max == unbounded {
		after, afterEmpty = c.two(next, empty, func(next, empty int32) int32 { return c.loop(n, next, empty) })
	} else {
		for range n.max - n.min {
			a, e := after, afterEmpty
			after, afterEmpty = c.two(next, empty, func(_, out int32) int32 {
				if out == next {
					return c.fork(c.part(n.sub, a, a), out, n.lazy)
				}
				return c.fork(c.part(n.sub, a, e), out, n.lazy)
			})
		}
	}
	for range n.min {
		after, afterEmpty = c.two(after, afterEmpty, func(next, empty int32) int32 { return c.part(n.sub, next, empty) })
	}
	return afterEmpty
}

// loop emits a body that repeats from 0 times on.
func (c *compiler) loop(n nodeRepeat, next, empty int32) int32 {
	again := c.fork(0, next, n.lazy)
	body := c.part(n.sub, again, next)
	if again < int32(len(c.prog.code)) {
		if n.lazy {
			c.prog.code[again].y = body
		} else {
			c.prog.code[again].x = body
		}
	}
	if next == empty {
		return again
	}
	return c.fork(c.part(n.sub, again, empty), empty, n.lazy)
}

// nullable says whether a part may match the empty string.
func nullable(n node) bool {
	switch n := n.(type) {
	case nodeSet:
		return false
	case nodeCat:
		return !slices.ContainsFunc(n, func(sub node) bool { return !nullable(sub) })
	case nodeAlt:
		return slices.ContainsFunc(n, nullable)
	case nodeRepeat:
		return n.min == 0 || nullable(n.sub)
	case nodeAtomic:
		return nullable(n.sub)
	}
	return true
}

// behindLength is the number of characters that a look-behind may cover.
func behindLength(n node) (int, error) {
	most := 0
	switch n := n.(type) {
	case nodeSet:
		return 1, nil
	case nodeCat:
		for _, sub := range n {
			one, err := behindLength(sub)
			if err != nil {
				return 0, err
			}
			most = min(most+one, maxBehind+1)
		}
	case nodeAlt:
		for _, sub := range n {
			one, err := behindLength(sub)
			if err != nil {
				return 0, err
			}
			most = max(most, one)
		}
	case nodeRepeat:
		one, err := behindLength(n.sub)
		if err != nil || one == 0 {
			return 0, err
		}
		return min(one*n.max, maxBehind+1), nil
	case nodeAtomic:
		return 0, errAtomic
	}
	return most, nil
}
