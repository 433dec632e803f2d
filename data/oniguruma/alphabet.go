package oniguruma

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// alphabet puts characters that no set of a pattern tells apart into one class.
type alphabet struct {
	classes int    // classes are 0 to classes-1
	edge    uint16 // the class of what is beyond the text; no character has it
	ascii   [utf8.RuneSelf]uint16
	pages   [(unicode.MaxRune + 1) >> 8]uint16 // by the upper bits of a character: where its page begins in cells, / 256
	cells   []uint16
	members [][]uint64 // by set: a bit for each class in it
}

// newAlphabet makes the classes for some sets, which are then known by their index.
func newAlphabet(sets []set) *alphabet {
	// Between two starts all characters are in the same sets.
	starts := []rune{0, edge}
	for _, s := range sets {
		for _, x := range s {
			starts = append(starts, x.lo, x.hi+1)
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	if starts[len(starts)-1] > edge {
		starts = starts[:len(starts)-1]
	}
	// Each set parts the classes that it cuts: what is inside becomes a class of its own.
	class := make([]uint16, len(starts))
	class[len(starts)-1] = 1
	total := []int{len(starts) - 1, 1} // by class
	inside, to := []int{0, 0}, []uint16{0, 1}
	for _, s := range sets {
		var cut []uint16
		s.each(starts, func(i int) {
			c := class[i]
			if inside[c]++; inside[c] == 1 {
				cut = append(cut, c)
			}
		})
		for _, c := range cut {
			if to[c] = c; inside[c] < total[c] {
				to[c] = uint16(len(total))
				total[c] -= inside[c]
				total = append(total, inside[c])
				inside, to = append(inside, 0), append(to, 0)
			}
			inside[c] = 0
		}
		s.each(starts, func(i int) { class[i] = to[class[i]] })
	}
	n := len(total)
	a := &alphabet{classes: n, edge: class[len(starts)-1]}
	a.fill(starts, class)
	words := (n + 63) / 64
	for _, s := range sets {
		bits := make([]uint64, words)
		s.each(starts, func(i int) { bits[class[i]/64] |= 1 << (class[i] % 64) })
		a.members = append(a.members, bits)
	}
	return a
}

// each calls f with the indices of the starts that are in s.
func (s set) each(starts []rune, f func(i int)) {
	for _, x := range s {
		i, _ := slices.BinarySearch(starts, x.lo)
		for ; i < len(starts) && starts[i] <= x.hi; i++ {
			f(i)
		}
	}
}

// fill makes the tables that find the class of a character. Pages that are alike are kept once.
func (a *alphabet) fill(starts []rune, class []uint16) {
	known := map[[256]uint16]uint16{}
	uniform := map[uint16]uint16{} // pages of one class
	i := 0
	for p := range a.pages {
		lo := rune(p) << 8
		for starts[i+1] <= lo {
			i++
		}
		if starts[i+1] >= lo+256 {
			if at, ok := uniform[class[i]]; ok {
				a.pages[p] = at
				continue
			}
		}
		var page [256]uint16
		k := i
		for j := range page {
			if starts[k+1] <= lo+rune(j) {
				k++
			}
			page[j] = class[k]
		}
		at, ok := known[page]
		if !ok {
			at = uint16(len(a.cells) / 256)
			a.cells = append(a.cells, page[:]...)
			known[page] = at
		}
		a.pages[p] = at
		if starts[i+1] >= lo+256 {
			uniform[class[i]] = at
		}
	}
	copy(a.ascii[:], a.cells[int(a.pages[0])*256:])
}

// of is the class of a character.
func (a *alphabet) of(r rune) uint16 { return a.cells[int(a.pages[r>>8])<<8|int(r&0xff)] }

// at is the class of the character of s that begins at i, and its length; that of the edge with 0 at the end of s.
func (a *alphabet) at(s string, i int) (class uint16, size int) {
	if i >= len(s) {
		return a.edge, 0
	}
	if c := s[i]; c < utf8.RuneSelf {
		return a.ascii[c], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	return a.of(r), n
}

// before is the class of the character of s that ends at i, and its length; that of the edge with 0 at the beginning.
func (a *alphabet) before(s string, i int) (class uint16, size int) {
	if i <= 0 {
		return a.edge, 0
	}
	r, n := utf8.DecodeLastRuneInString(s[:i])
	return a.of(r), n
}

// in says whether a class is part of the set of index k.
func (a *alphabet) in(k int32, class uint16) bool {
	return a.members[k][class/64]>>(class%64)&1 != 0
}
