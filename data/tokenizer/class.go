package tokenizer

import (
	"math"
	"sync"
	"unicode"
)

// The classes of characters that pre-tokenizers ask about, as the regular expressions of the tokenizers library have them.
const (
	number     uint8 = 1 << iota // \p{N}
	space                        // \s, White_Space
	word                         // \w: alphabetic, mark, decimal digit, connector, joiner
	punct                        // \p{P} or ASCII punctuation
	mark                         // \p{M}
	nonspacing                   // \p{Mn}
)

// classTable covers the planes that hold nearly all text; above it the unicode package is asked.
const classTable = 0x20000

// classes is the table of the classes of a character, made at first use.
var classes = sync.OnceValue(func() *[classTable]uint8 {
	var table [classTable]uint8
	for _, c := range classTables() {
		for _, t := range c.tables {
			for _, r := range t.R16 {
				for v := uint32(r.Lo); v <= uint32(r.Hi); v += uint32(r.Stride) {
					table[v] |= c.bit
				}
			}
			for _, r := range t.R32 {
				for v := r.Lo; v <= r.Hi && v < classTable; v += r.Stride {
					table[v] |= c.bit
				}
			}
		}
	}
	for _, v := range "$+<=>^`|~" {
		table[v] |= punct
	}
	table[0x200c] |= word
	table[0x200d] |= word
	for bit, ranges := range map[uint8][]charRange{punct: otherPunct, mark: otherMark, nonspacing: otherNonspacing} {
		for _, in := range ranges {
			for v := in.lo; v <= in.hi; v++ {
				table[v] ^= bit
			}
		}
	}
	return &table
})

type classOf struct {
	bit    uint8
	tables []*unicode.RangeTable
}

var classTables = sync.OnceValue(func() []classOf {
	return []classOf{
		{number, []*unicode.RangeTable{unicode.N, rangeTable(newNumbers)}},
		{space, []*unicode.RangeTable{unicode.White_Space}},
		{word, []*unicode.RangeTable{unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, rangeTable(newWord)}},
		{punct, []*unicode.RangeTable{unicode.P}},
		{mark, []*unicode.RangeTable{unicode.M}},
		{nonspacing, []*unicode.RangeTable{unicode.Mn}},
	}
})

func rangeTable(ranges []charRange) *unicode.RangeTable {
	t := &unicode.RangeTable{}
	for _, in := range ranges {
		if in.hi <= math.MaxUint16 {
			t.R16 = append(t.R16, unicode.Range16{Lo: uint16(in.lo), Hi: uint16(in.hi), Stride: 1})
		} else {
			t.R32 = append(t.R32, unicode.Range32{Lo: uint32(in.lo), Hi: uint32(in.hi), Stride: 1})
		}
	}
	return t
}

// classIn is the class of r by the table.
func classIn(table *[classTable]uint8, r rune) uint8 {
	if uint32(r) < classTable {
		return table[r]
	}
	var bits uint8
	for _, c := range classTables() {
		if unicode.IsOneOf(c.tables, r) {
			bits |= c.bit
		}
	}
	return bits
}
