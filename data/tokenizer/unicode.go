package tokenizer

import (
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// unicodeForm is Unicode normalization (UAX #15). The algorithm is written out here because norm.Form keeps no
// alignment and puts joiners into runs of more than 30 marks, which the tokenizers library does not.
type unicodeForm struct{ form norm.Form }

// normChar is a character on its way through decomposition, reordering and composition.
type normChar struct {
	r     rune
	class uint8 // canonical combining class
	at    span32
}

func (n unicodeForm) normalize(a aligned) (aligned, error) {
	if n.form.IsNormalString(a.s) {
		return a, nil
	}
	chars := n.decompose(a)
	reorder(chars)
	if n.form == norm.NFC || n.form == norm.NFKC {
		chars = compose(chars)
	}
	r := rewrite(a, 0)
	for _, c := range chars {
		n := utf8.RuneLen(c.r)
		if lo := int(c.at.lo - a.base); a.at == nil && int(c.at.hi-c.at.lo) == n && unchanged(a.s, lo, c.r) {
			r.keep(lo, lo+n) // byte by byte, as tokens may cut characters
			continue
		}
		for range n {
			r.at = append(r.at, c.at)
		}
		r.buf.WriteRune(c.r)
	}
	return r.done(), nil
}

// unchanged says whether r is the character of s at lo.
func unchanged(s string, lo int, r rune) bool {
	at, _ := utf8.DecodeRuneInString(s[lo:])
	return at == r
}

func (n unicodeForm) decompose(a aligned) []normChar {
	form := norm.NFD
	if n.form == norm.NFKC || n.form == norm.NFKD {
		form = norm.NFKD
	}
	chars := make([]normChar, 0, len(a.s))
	for i, r := range a.s {
		at := span32{a.start(i), a.end(i + utf8.RuneLen(r))}
		if r < utf8.RuneSelf {
			chars = append(chars, normChar{r: r, at: at})
			continue
		}
		if l, v, t, ok := splitHangul(r); ok {
			chars = append(chars, normChar{r: l, at: at}, normChar{r: v, at: at})
			if t != hangulT {
				chars = append(chars, normChar{r: t, at: at})
			}
			continue
		}
		p := form.PropertiesString(a.s[i:])
		parts := p.Decomposition()
		if parts == nil || unknownForm(r, form) {
			chars = append(chars, normChar{r, combiningClass(r, p), at})
			continue
		}
		for len(parts) > 0 {
			c, size := utf8.DecodeRune(parts)
			chars = append(chars, normChar{c, combiningClass(c, form.Properties(parts)), at})
			parts = parts[size:]
		}
	}
	return chars
}

// unknownForm says whether the tokenizers library does not know that r decomposes.
func unknownForm(r rune, form norm.Form) bool {
	return r == newComposite || form == norm.NFKD && inRanges(newCompat, r)
}

// combiningClass is 0 for a mark that the tokenizers library does not know as one.
func combiningClass(r rune, p norm.Properties) uint8 {
	if p.CCC() != 0 && classIn(classes(), r)&mark == 0 {
		return 0
	}
	return p.CCC()
}

// newComposite is a letter of Dives Akuru, the one canonical composite that is too new for the library.
const newComposite = 0x11938

// reorder sorts each run of marks by combining class. Characters that change places share one span, so that spans
// never run backwards.
func reorder(chars []normChar) {
	byClass := func(x, y normChar) int { return int(x.class) - int(y.class) }
	for i := 0; i < len(chars); i++ {
		if chars[i].class == 0 {
			continue
		}
		j := i + 1
		for j < len(chars) && chars[j].class != 0 {
			j++
		}
		if run := chars[i:j]; !slices.IsSortedFunc(run, byClass) {
			all := span32{run[0].at.lo, run[len(run)-1].at.hi}
			slices.SortStableFunc(run, byClass)
			for k := range run {
				run[k].at = all
			}
		}
		i = j
	}
}

// compose joins characters with the starter before them, in place.
func compose(chars []normChar) []normChar {
	pairs := composites()
	out := chars[:0]
	starter := -1 // in out
	for _, c := range chars {
		if starter >= 0 {
			last := out[len(out)-1]
			adjacent := len(out)-1 == starter
			if adjacent || last.class != 0 && last.class < c.class {
				if r, ok := joinHangul(out[starter].r, c.r); ok {
					out[starter].r, out[starter].at.hi = r, max(out[starter].at.hi, c.at.hi)
					continue
				}
				if r, ok := pairs[[2]rune{out[starter].r, c.r}]; ok {
					// Marks between the two keep their place inside the span of the joined character.
					out[starter].r, out[starter].at.hi = r, max(out[starter].at.hi, c.at.hi)
					for k := starter + 1; k < len(out); k++ {
						out[k].at = out[starter].at
					}
					continue
				}
			}
		}
		if c.class == 0 {
			starter = len(out)
		}
		out = append(out, c)
	}
	return out
}

// composites maps a starter and the character after it to the character that they compose to.
var composites = sync.OnceValue(func() map[[2]rune]rune {
	pairs := make(map[[2]rune]rune, 1024)
	for r := rune(0xc0); r < classTable; r++ {
		if 0xd800 <= r && r < 0xe000 {
			continue
		}
		s := string(r)
		parts := norm.NFD.PropertiesString(s).Decomposition()
		if parts == nil || !norm.NFC.IsNormalString(s) || r == newComposite {
			continue
		}
		last, size := utf8.DecodeLastRune(parts)
		first := []rune(norm.NFC.String(string(parts[:len(parts)-size])))
		if len(first) == 1 {
			pairs[[2]rune{first[0], last}] = r
		}
	}
	return pairs
})

// Hangul syllables compose by arithmetic (Unicode Standard, section 3.12).
const (
	hangulL, hangulV, hangulT = 0x1100, 0x1161, 0x11a7
	hangulS                   = 0xac00
	countL, countV, countT    = 19, 21, 28
	countS                    = countL * countV * countT
)

func splitHangul(r rune) (l, v, t rune, ok bool) {
	s := r - hangulS
	if s < 0 || s >= countS {
		return 0, 0, 0, false
	}
	return hangulL + s/(countV*countT), hangulV + s%(countV*countT)/countT, hangulT + s%countT, true
}

func joinHangul(a, b rune) (rune, bool) {
	if l, v := a-hangulL, b-hangulV; 0 <= l && l < countL && 0 <= v && v < countV {
		return hangulS + (l*countV+v)*countT, true
	}
	if s, t := a-hangulS, b-hangulT; 0 <= s && s < countS && s%countT == 0 && 0 < t && t < countT {
		return a + t, true
	}
	return 0, false
}
