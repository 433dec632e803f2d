package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// eachChar is a normalizer that looks at single characters: to is what becomes of c, -1 = it is left out. around says
// that blanks come before and behind it.
type eachChar struct {
	of func(c rune) (to rune, around bool)
}

func (n eachChar) normalize(a aligned) (aligned, error) {
	var r *rewriter // nil = nothing has changed yet
	kept := 0
	var buf [utf8.UTFMax]byte
	for i, c := range a.s {
		to, around := n.of(c)
		if to == c && !around {
			continue
		}
		if r == nil {
			r = rewrite(a, len(a.s)/8)
		}
		r.keep(kept, i)
		kept = i + utf8.RuneLen(c)
		if around {
			r.put(" ", i, i)
		}
		switch {
		case to == c:
			r.keep(i, kept)
		case to >= 0:
			r.put(string(utf8.AppendRune(buf[:0], to)), i, kept)
		}
		if around {
			r.put(" ", kept, kept)
		}
	}
	if r == nil {
		return a, nil
	}
	r.keep(kept, len(a.s))
	return r.done(), nil
}

// stripAccents drops all marks.
func stripAccents(c rune) (rune, bool) {
	if c >= utf8.RuneSelf && classIn(classes(), c)&mark != 0 {
		return -1, false
	}
	return c, false
}

// nmt drops control characters and makes blanks of others that separate, as SentencePiece's rules for translation do.
func nmt(c rune) (rune, bool) {
	switch {
	case 0x01 <= c && c <= 0x08, c == 0x0b, 0x0e <= c && c <= 0x1f, c == 0x7f, c == 0x8f, c == 0x9f:
		return -1, false
	case c == '\t', c == '\n', c == '\f', c == '\r', c == 0x1680, 0x200b <= c && c <= 0x200f, c == 0x2028, c == 0x2029,
		c == 0x2581, c == 0xfeff, c == 0xfffd:
		return ' ', false
	}
	return c, false
}

// bertNormalizer is the cleaning of BERT (tokenization.py of google-research/bert), a step at a time.
func bertNormalizer(clean, chinese, strip, lower bool) []normalizer {
	var all []normalizer
	if clean {
		all = append(all, eachChar{bertClean})
	}
	if chinese {
		all = append(all, eachChar{bertChinese})
	}
	if strip {
		all = append(all, unicodeForm{norm.NFD}, eachChar{stripNonspacing})
	}
	if lower {
		all = append(all, lowercase{})
	}
	return all
}

// bertClean drops control and format characters and those of private use, and makes every blank a plain one.
func bertClean(c rune) (rune, bool) {
	switch {
	case ' ' <= c && c <= '~':
		return c, false
	case c == '\t', c == '\n', c == '\r':
		return ' ', false
	case c == 0x890, c == 0x891, c == 0x8e2, c == 0x110cd, 0x13430 <= c && c <= 0x1343f:
		return c, false // format characters that the library does not know
	case c == 0xfffd, unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co):
		return -1, false
	case unicode.IsSpace(c):
		return ' ', false
	}
	return c, false
}

// bertChinese puts blanks around the ideographs of the blocks that BERT's authors chose.
func bertChinese(c rune) (rune, bool) {
	switch {
	case c < 0x3400:
		return c, false
	case c <= 0x4dbf, 0x4e00 <= c && c <= 0x9fff, 0xf900 <= c && c <= 0xfaff, 0x20000 <= c && c <= 0x2a6df,
		0x2a700 <= c && c <= 0x2b73f, 0x2b740 <= c && c <= 0x2b81f, 0x2b920 <= c && c <= 0x2ceaf, 0x2f800 <= c && c <= 0x2fa1f:
		return c, true
	}
	return c, false
}

func stripNonspacing(c rune) (rune, bool) {
	if c >= utf8.RuneSelf && classIn(classes(), c)&nonspacing != 0 {
		return -1, false
	}
	return c, false
}
