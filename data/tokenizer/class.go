package tokenizer

import (
	"sync"
	"unicode"
)

// The classes of characters that pre-tokenizers ask about, as the regular expressions of the tokenizers library have them.
const (
	letter uint8 = 1 << iota // \p{L}
	number                   // \p{N}
	space                    // \s, White_Space
	word                     // \w: alphabetic, mark, decimal digit, connector, joiner
	punct                    // \p{P} or ASCII punctuation
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
	return &table
})

type classOf struct {
	bit    uint8
	tables []*unicode.RangeTable
}

var classTables = sync.OnceValue(func() []classOf {
	return []classOf{
		{letter, []*unicode.RangeTable{unicode.L}},
		{number, []*unicode.RangeTable{unicode.N}},
		{space, []*unicode.RangeTable{unicode.White_Space}},
		{word, []*unicode.RangeTable{unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc}},
		{punct, []*unicode.RangeTable{unicode.P}},
	}
})

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
