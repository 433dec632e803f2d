package oniguruma

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
	"pgregory.net/rapid"
)

// The patterns of published files, each with what other engines call them.
var published = map[string]string{
	"gpt2":     `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
	"cl100k":   `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"qwen3.5":  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"o200k":    `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"kimi":     `[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"deepseek": `[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" + `{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"han":      `[一-龥` + "\u3040" + `-ゟ゠-ヿ]+`,
	"clip":     `<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`,
	"digits":   `[0-9][0-9][0-9]`,
	"ends":     `\A | \z`,
	"tiktoken": `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
}

// textGen draws texts in which the published patterns find all their parts.
func textGen() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.SampledFrom([]string{" ", "  ", "\n", "\r\n", "\t", "'s", "'LL", "'ſ", "a", "AB", "aBc", "é", "e\u0301", "中文", "カ", "12", "1234", "٣", "²", "!?", "/", "🦙", "\u2028", "_", "ǅ", "ʰ"}),
		rapid.StringOfN(rapid.SampledFrom([]rune(" \n\raA'1!é中\u0301")), 0, 8, -1),
		rapid.String(),
	)
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(part, 0, 10).Draw(t, "parts"), "") })
}

func mustCompile(t rapid.TB, pattern string) *Regexp {
	re, err := Compile(pattern)
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	return re
}

// Published patterns run by table, which must find what backtracking finds.
func TestTableEqualsBacktracking(t *testing.T) {
	for name, pattern := range published {
		re := mustCompile(t, pattern)
		if re.table == nil {
			t.Errorf("%s has no table", name)
			continue
		}
		slow := withoutTable(re)
		rapid.Check(t, func(t *rapid.T) {
			s := textGen().Draw(t, "text")
			if got, want := cut(t, re, s), cut(t, slow, s); !slices.Equal(got, want) {
				t.Fatalf("%s on %q:\n got %v\nwant %v", name, s, got, want)
			}
		})
	}
}

// regexp2 is another engine, which reads these patterns as Oniguruma does but for intersections.
func TestEqualsRegexp2(t *testing.T) {
	for name, pattern := range published {
		if strings.Contains(pattern, "&&") || strings.Contains(pattern, "++") {
			continue
		}
		re, other := mustCompile(t, pattern), regexp2.MustCompile(pattern, regexp2.None)
		rapid.Check(t, func(t *rapid.T) {
			s := textGen().Filter(alike).Draw(t, "text")
			var got, want []string
			for _, p := range cut(t, re, s) {
				if p.match {
					got = append(got, s[p.lo:p.hi])
				}
			}
			for m, _ := other.FindStringMatch(s); m != nil; m, _ = other.FindNextMatch(m) {
				want = append(want, m.String())
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s on %q:\n got %q\nwant %q", name, s, got, want)
			}
		})
	}
}

// alike says whether a text has no characters that regexp2 knows otherwise.
func alike(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		if r == 'ſ' { // which regexp2 does not take for an s
			return true
		}
		for _, extra := range added {
			if len(extra.and(one(r))) > 0 {
				return true
			}
		}
		return false
	})
}

// patternGen draws patterns that mix all constructs.
func patternGen(depth int) *rapid.Generator[string] {
	leaf := rapid.SampledFrom([]string{"a", "b", "ab", ".", `\s`, `\w`, "[ab]", "[^a]", `[a-c&&[^b]]`, "^", "$", `\b`, `\A`, `\z`, `\Z`, "", `\n`, "(?=a)", "(?!b)", "(?<=a)", "(?<!ab)", "(?=a*b)", "(?i:b)"})
	if depth == 0 {
		return leaf
	}
	sub := patternGen(depth - 1)
	return rapid.OneOf(leaf, rapid.Custom(func(t *rapid.T) string {
		a, b := sub.Draw(t, "a"), sub.Draw(t, "b")
		return rapid.SampledFrom([]string{
			a + b, "(?:" + a + "|" + b + ")", "(?:" + a + ")*" + b, "(?:" + a + ")+?" + b, "(?:" + a + ")?" + b, "(?:" + a + "){1,2}" + b,
			"(?:" + a + "){2,}" + b, "(?>" + a + ")" + b, "(?:" + a + ")*+" + b, "(?=" + a + ")" + b, "(?!" + a + ")" + b,
		}).Draw(t, "form")
	}))
}

// On any pattern and text: table and backtracking agree, regexp2 agrees, pieces are the text, and the steps of
// backtracking are linear in the text.
func TestRandomPatterns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := patternGen(3).Draw(t, "pattern")
		re, err := Compile(pattern)
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		s := rapid.StringOfN(rapid.SampledFrom([]rune("aabbc \nAé")), 0, 30, -1).Draw(t, "text")
		got := cut(t, re, s)
		checkLaws(t, re, s, got)
		other, err := regexp2.Compile(pattern, regexp2.Multiline)
		if err != nil || strings.ContainsAny(pattern, `&^$Zw`) || strings.Contains(pattern, `\b`) || strings.Contains(pattern, "*+") {
			return // it reads these otherwise
		}
		other.MatchTimeout = 10 * time.Second
		first := slices.IndexFunc(got, func(p piece) bool { return p.match })
		m, err := other.FindStringMatch(s)
		switch {
		case err != nil:
		case m == nil || first < 0:
			if m != nil || first >= 0 {
				t.Fatalf("%s on %q: %v, regexp2 has %v", pattern, s, got, m)
			}
		case s[got[first].lo:got[first].hi] != m.String() || utf8.RuneCountInString(s[:got[first].lo]) != m.Index:
			t.Fatalf("%s on %q: %v, regexp2 has %q at %d", pattern, s, got, m.String(), m.Index)
		}
	})
}

func checkLaws(t rapid.TB, re *Regexp, s string, got []piece) {
	t.Helper()
	at := 0
	for _, p := range got {
		if p.lo != at || p.hi < p.lo || p.lo == p.hi && !p.match {
			t.Fatalf("%s on %q: %v has a gap or an empty piece", re, s, got)
		}
		at = p.hi
	}
	if at != len(s) {
		t.Fatalf("%s on %q: %v ends at %d", re, s, got, at)
	}
	slow := withoutTable(re)
	if want := cut(t, slow, s); !slices.Equal(got, want) {
		t.Fatalf("%s on %q:\n  table %v\nwithout %v", re, s, got, want)
	}
}

// steps is how many instructions backtracking takes to find all matches.
func steps(t rapid.TB, re *Regexp, s string) int {
	m := re.machine(s)
	for at := 0; at <= len(s); {
		lo, hi, err := m.find(at)
		if err != nil {
			t.Fatalf("%s on %.50q: %v", re, s, err)
		}
		if lo < 0 {
			break
		}
		at = max(hi, lo+1)
	}
	return m.steps
}

// Patterns that take other engines quadratic or exponential time take this one twice the steps for twice the text, and
// the table no longer than a few readings of the text.
func TestLinear(t *testing.T) {
	hostile := []string{`(?:a*)*b`, `(?:a|a)*b`, `(?:a|aa)+$`, `(?:a?){30}a{30}b`, `a*b|a`, `(?=a*b)a|a`, `(?=a*$)a`, `(?!a*b)a`, `(?>a*)b|a`, `(?:(?>a+)|b)*c|a`,
		`(?=(?:a|aa)*$)a`, `(?<=a{1,200})a`, `(?<!(?:a|aa){1,100}b)a`, `.*.*.*=`, `(?:.*?,){9}P`, `a++b|a`, `(?:ab?)*+c|a`}
	for _, pattern := range hostile {
		re := mustCompile(t, pattern)
		for _, unit := range []string{"a", "ab", "a\n", "é"} {
			const n = 1000
			text := strings.Repeat(unit, n)
			one, two := steps(t, re, text), steps(t, re, text+text)
			if two > 2*one+2*one/10+1000 || one > 2*n*len(unit)*len(re.prog.code)*max(1, re.prog.forks) {
				t.Errorf("%s on %d and %d times %q: %d and %d steps", pattern, n, 2*n, unit, one, two)
			}
			if quota := rescan * len(text); re.table != nil {
				lo, hi, used := 0, 0, quota
				for lo >= 0 && used > 0 {
					if lo, hi = re.table.find(text, hi, &used); lo == hi {
						hi++
					}
				}
				if used < -2*len(text) {
					t.Errorf("%s on %d times %q: the table read %d bytes beyond its quota", pattern, n, unit, -used)
				}
			}
		}
	}
	for name, pattern := range published {
		re := mustCompile(t, pattern)
		for _, unit := range []string{"a", " ", "1", "🦙", "中", "\n ", "A", "aB", "!", "'s", "\u0301"} {
			const n = 1000
			text := strings.Repeat(unit, n)
			one, two := steps(t, re, text), steps(t, re, text+text)
			if two > 2*one+2*one/10+1000 {
				t.Errorf("%s on %d and %d times %q: %d and %d steps", name, n, 2*n, unit, one, two)
			}
			quota := rescan * len(text)
			for lo, hi := 0, 0; lo >= 0; {
				if lo, hi = re.table.find(text, hi, &quota); lo == hi {
					hi++
				}
			}
			if quota < 0 {
				t.Errorf("%s on %d times %q: the table reads the text %d times", name, n, unit, rescan)
			}
		}
	}
}

// What is remembered of a text is bounded.
func TestMemory(t *testing.T) {
	re := mustCompile(t, `(?=(?:a|b)*$)a`)
	err := re.Cut(strings.Repeat("ab", maxInner), func(int, int, bool) {})
	if err == nil || !strings.Contains(err.Error(), "far ahead") {
		t.Errorf("looking ahead to the end of a long text: %v", err)
	}
	m := mustCompile(t, `(?:a|ab)b?(?>a|b)`).machine("")
	m.tried.reset(m.r.prog.forks, 1<<22)
	for at := range 1 << 22 {
		m.tried.forget(at - maxBack)
		m.tried.set(visit{0, int32(at)})
	}
	if m.tried.made > 2+maxBack*m.r.prog.forks/pageBits {
		t.Errorf("%d pages for a search that never looks far ahead", m.tried.made)
	}
}

// Errors name what is wrong and where.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{`ab\1`, `\1 is not supported at byte 2`},
		{`é\K`, `\K is not supported at byte 2`},
		{`a(?<n>b)`, `a group with a name is not supported at byte 1`},
		{`(?~a)`, `a group that begins (?~ is not supported at byte 0`},
		{`(?x:a)`, `a group that begins (?x is not supported at byte 0`},
		{`a(b`, `a ( without its ) at byte 1`},
		{`a)`, `a ) without its ( at byte 1`},
		{`a[b`, `a [ without its ] at byte 1`},
		{`a|*`, `a * with nothing to repeat at byte 2`},
		{`a{3,2}`, `a repeat of at least 3 and at most 2 at byte 1`},
		{`a{99999999999999999999}`, `repeats at byte 1`},
		{`[z-a]`, `at byte 2`},
		{`[\w-.]`, `a - behind a range or a set is not supported; write it last at byte 3`},
		{`\p{Emoji}`, `the property \p{Emoji} is not supported at byte 0`},
		{`[[:nope:]]`, `the set [:nope:] is not supported at byte 1`},
		{`\xC3`, `the character \xC3 is not supported at byte 0`},
		{`(?i:dish|st)`, `the letters st without regard to case`},
		{`(?i:é)`, `the letter 'é' without regard to case`},
		{`(?i:[ß])`, `a set without regard to case that holds 'ß'`},
		{`b(?<=a*)`, `a look-behind over more than 255 characters is not supported at byte 1`},
		{`(?<=(?>a|bc))`, `a look-behind with an atomic group`},
		{`a\`, `a \ at the end at byte 1`},
		{`(?:a{90}){92}`, `more than 8192 instructions`},
		{strings.Repeat("(?:", 99) + strings.Repeat(")", 99), `nested more than 64 deep`},
		{strings.Repeat("[a", 99) + strings.Repeat("]", 99), `nested more than 64 deep`},
		{strings.Repeat("a", maxPattern+1), `8193 bytes`},
	} {
		if _, err := Compile(c.pattern); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: %v, want %q", c.pattern, err, c.want)
		}
	}
}

// FuzzCut compiles any pattern and cuts any text.
func FuzzCut(f *testing.F) {
	for _, pattern := range published {
		f.Add(pattern, "It's 1234 o'CLOCK!!\n\n  He'LL 中文é e\u0301")
	}
	f.Add(`(?:(?:a*)*|b?)*?(?=a|b*c)(?<!ab)\b`, "aabbc\xffab")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		re, err := Compile(pattern)
		if err != nil {
			return
		}
		checkLaws(t, re, s, cut(t, re, s))
	})
}

func BenchmarkCompile(b *testing.B) {
	for name, pattern := range published {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				mustCompile(b, pattern)
			}
		})
	}
}

func BenchmarkCut(b *testing.B) {
	text := strings.Repeat("The quick brown fox doesn't jump over 12 lazy dogs; it sleeps (quietly) for 1024 days.\n\n  Größe 中文 naïve ", 100)
	for name, pattern := range published {
		for way, re := range []*Regexp{mustCompile(b, pattern), withoutTable(mustCompile(b, pattern))} {
			b.Run(name+[]string{"/table", "/backtracking"}[way], func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if err := re.Cut(text, func(lo, hi int, match bool) {}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
