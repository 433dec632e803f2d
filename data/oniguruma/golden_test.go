package oniguruma

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"attune/internal/reftest"
)

type piece struct {
	lo, hi int
	match  bool
}

func cut(t rapid.TB, re *Regexp, s string) []piece {
	t.Helper()
	var all []piece
	if err := re.Cut(s, func(lo, hi int, match bool) { all = append(all, piece{lo, hi, match}) }); err != nil {
		t.Fatalf("%s on %.100q: %v", re, s, err)
	}
	return all
}

// withoutTable is the same pattern, run by backtracking.
func withoutTable(re *Regexp) *Regexp {
	return &Regexp{pattern: re.pattern, prog: re.prog, alphabet: re.alphabet}
}

type golden struct {
	Pattern  string  `json:"pattern"`
	Error    string  `json:"error"`
	Text     string  `json:"text"`
	Pieces   [][]any `json:"pieces"`
	Replaced string  `json:"replaced"`
}

// TestCases holds both ways of matching to Oniguruma itself. What it refuses is refused, and some things beyond.
func TestCases(t *testing.T) {
	refused := []string{`\K`, `\G`, `\R`, `\X`, `(a)\1`, `(?<n>a)`, `\g<0>`, `(?~a)`, `(?x: a b)`, `\pL`, `(?<=a*)b`, `\0`, `\cA`, `a{3,2}`}
	compiled := map[string]*Regexp{}
	for _, g := range reftest.Lines[golden](t, "testdata/cases.jsonl") {
		re, ok := compiled[g.Pattern]
		if !ok {
			var err error
			re, err = Compile(g.Pattern)
			if known := g.Error != "" || slices.Contains(refused, g.Pattern); known != (err != nil) {
				t.Errorf("%s: error %v; Oniguruma's is %q", g.Pattern, err, g.Error)
			}
			compiled[g.Pattern] = re
		}
		if re == nil || g.Error != "" {
			continue
		}
		ways := []*Regexp{re, withoutTable(re)}
		for i, re := range ways {
			var got [][]any
			var replaced strings.Builder
			for _, p := range cut(t, re, g.Text) {
				if p.lo < p.hi {
					got = append(got, []any{g.Text[p.lo:p.hi], p.match})
				}
				if p.match {
					replaced.WriteString("\ue000")
				} else {
					replaced.WriteString(g.Text[p.lo:p.hi])
				}
			}
			same := func(a, b []any) bool { return a[0] == b[0] && a[1] == b[1] }
			if !slices.EqualFunc(got, g.Pieces, same) || replaced.String() != g.Replaced {
				t.Errorf("%s on %q, way %d:\n got %q %q\nwant %q %q", re, g.Text, i, got, replaced.String(), g.Pieces, g.Replaced)
			}
		}
	}
}

// TestSets holds sets of characters, one by one, to Oniguruma's.
func TestSets(t *testing.T) {
	sets := reftest.Lines[struct {
		Set        string `json:"set"`
		Characters int    `json:"characters"`
		CRC32      uint32 `json:"crc32"`
	}](t, "testdata/sets.jsonl")
	if len(sets) < 100 {
		t.Fatalf("%d sets", len(sets))
	}
	for _, g := range sets {
		p := parser{src: g.Set}
		n, err := p.parse()
		if err != nil {
			t.Errorf("%s: %v", g.Set, err)
			continue
		}
		var members []byte
		for _, x := range set(n.(nodeSet)).and(set{{0xd800, 0xdfff}}.complement()) {
			for r := x.lo; r <= x.hi; r++ {
				members = binary.LittleEndian.AppendUint32(members, uint32(r))
			}
		}
		if crc32.ChecksumIEEE(members) != g.CRC32 {
			t.Errorf("%s: %d characters, want %d", g.Set, len(members)/4, g.Characters)
		}
	}
}
