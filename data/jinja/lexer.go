package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokData tokenKind = iota
	tokBlockBegin
	tokBlockEnd
	tokVarBegin
	tokVarEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
	tokEOF
)

type token struct {
	kind tokenKind
	text string // of a string: its value; of a number: its digits without "_"
	pos  pos
}

// describe is the token as an error message names it.
func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "end of template"
	case tokBlockEnd:
		return "end of statement block"
	case tokVarEnd:
		return "end of print statement"
	case tokString:
		return fmt.Sprintf("the string %q", t.text)
	case tokData, tokBlockBegin, tokVarBegin:
		return "template text"
	}
	return "'" + t.text + "'"
}

// lexer cuts a template into tokens as jinja2.lexer does with trim_blocks and lstrip_blocks.
type lexer struct {
	src  string
	i    int
	pos  pos
	toks []token
	// lineStart: the last token ended a line, so that white space before a tag is at the beginning of one.
	lineStart bool
}

// normalise makes every line end "\n" and drops one at the end of the template.
func normalise(src string) string {
	if strings.ContainsRune(src, '\r') {
		src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	}
	return strings.TrimSuffix(src, "\n")
}

func tokenize(src string) ([]token, error) {
	if !utf8.ValidString(src) {
		return nil, &Error{Kind: Syntax, Msg: "the template is not valid UTF-8"}
	}
	l := &lexer{src: normalise(src), pos: pos{1, 1}, lineStart: true}
	for l.i < len(l.src) {
		if err := l.text(); err != nil {
			return nil, err
		}
	}
	l.emit(tokEOF, "")
	return l.toks, nil
}

func (l *lexer) fail(format string, args ...any) error {
	return &Error{Kind: Syntax, Line: int(l.pos.line), Col: int(l.pos.col), Msg: fmt.Sprintf(format, args...)}
}

func (l *lexer) emit(k tokenKind, text string) { l.toks = append(l.toks, token{k, text, l.pos}) }

// skip moves on by n bytes.
func (l *lexer) skip(n int) {
	s := l.src[l.i : l.i+n]
	if k := strings.LastIndexByte(s, '\n'); k >= 0 {
		l.pos.line += int32(strings.Count(s, "\n"))
		l.pos.col = int32(utf8.RuneCountInString(s[k+1:])) + 1
	} else {
		l.pos.col += int32(utf8.RuneCountInString(s))
	}
	l.i += n
	if n > 0 {
		l.lineStart = s[n-1] == '\n'
	}
}

func (l *lexer) skipSpace() {
	rest := l.src[l.i:]
	l.skip(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
}

// text reads template text up to the next tag and then the tag.
func (l *lexer) text() error {
	rest := l.src[l.i:]
	k := 0
	for {
		d := strings.IndexByte(rest[k:], '{')
		if d < 0 || k+d+1 >= len(rest) {
			l.emit(tokData, rest)
			l.skip(len(rest))
			return nil
		}
		k += d
		if c := rest[k+1]; c == '%' || c == '{' || c == '#' {
			break
		}
		k++
	}
	text, tag := rest[:k], rest[k+1]
	sign := byte(0)
	if k+2 < len(rest) && (rest[k+2] == '-' || rest[k+2] == '+') {
		sign = rest[k+2]
	}
	keep := text
	switch {
	case sign == '-':
		keep = strings.TrimRightFunc(text, isSpace)
	case sign != '+' && tag != '{':
		line := strings.LastIndexByte(text, '\n') + 1
		if (line > 0 || l.lineStart) && strings.TrimLeftFunc(text[line:], isSpace) == "" {
			keep = text[:line]
		}
	}
	if keep != "" {
		l.emit(tokData, keep)
	}
	l.skip(k)
	begin := 2
	if sign != 0 {
		begin = 3
	}
	switch tag {
	case '#':
		return l.comment(begin)
	case '{':
		l.emit(tokVarBegin, "")
		l.skip(begin)
		return l.inside(tokVarEnd, "}}")
	}
	if n, ok := rawBegin(l.src[l.i+begin:]); ok {
		return l.raw(begin + n)
	}
	l.emit(tokBlockBegin, "")
	l.skip(begin)
	return l.inside(tokBlockEnd, "%}")
}

// closing skips the end of a tag: "-%}" and the white space behind it, "+%}", or "%}" and one newline (trim).
// It reports whether there was one.
func (l *lexer) closing(end string, trim bool) bool {
	rest := l.src[l.i:]
	switch {
	case strings.HasPrefix(rest, "-"+end):
		l.skip(1 + len(end))
		l.skipSpace()
	case trim && strings.HasPrefix(rest, "+"+end):
		l.skip(1 + len(end))
	case strings.HasPrefix(rest, end):
		l.skip(len(end))
		if trim && l.i < len(l.src) && l.src[l.i] == '\n' {
			l.skip(1)
		}
	default:
		return false
	}
	return true
}

func (l *lexer) comment(begin int) error {
	start := l.pos
	k := strings.Index(l.src[l.i+begin:], "#}")
	if l.i+begin >= len(l.src) { // Jinja lets this pass
		l.skip(len(l.src) - l.i)
		return nil
	}
	if k < 0 {
		return l.fail("missing end of comment tag")
	}
	end := l.i + begin + k
	if k > 0 && (l.src[end-1] == '-' || l.src[end-1] == '+') {
		end--
	}
	l.skip(end - l.i)
	if !l.closing("#}", true) {
		l.pos = start
		return l.fail("missing end of comment tag")
	}
	return nil
}

// rawBegin recognises "raw %}" behind "{%" and gives its length.
func rawBegin(s string) (int, bool) {
	t := strings.TrimLeftFunc(s, isSpace)
	if !strings.HasPrefix(t, "raw") {
		return 0, false
	}
	t = strings.TrimLeftFunc(t[3:], isSpace)
	if strings.HasPrefix(t, "-%}") {
		t = strings.TrimLeftFunc(t[3:], isSpace)
	} else if strings.HasPrefix(t, "%}") {
		t = t[2:]
	} else {
		return 0, false
	}
	return len(s) - len(t), true
}

// raw reads up to the endraw tag without looking inside.
func (l *lexer) raw(begin int) error {
	start := l.pos
	l.skip(begin)
	body := l.src[l.i:]
	for k := 0; ; k++ {
		d := strings.Index(body[k:], "{%")
		if d < 0 {
			l.pos = start
			return l.fail("missing end of raw directive")
		}
		k += d
		t := body[k+2:]
		sign := byte(0)
		if t != "" && (t[0] == '-' || t[0] == '+') {
			sign, t = t[0], t[1:]
		}
		t = strings.TrimLeftFunc(t, isSpace)
		if !strings.HasPrefix(t, "endraw") {
			continue
		}
		t = strings.TrimLeftFunc(t[len("endraw"):], isSpace)
		if !strings.HasPrefix(t, "%}") && !strings.HasPrefix(t, "-%}") && !strings.HasPrefix(t, "+%}") {
			continue
		}
		text := body[:k]
		if sign == '-' {
			text = strings.TrimRightFunc(text, isSpace)
		} else if line := strings.LastIndexByte(text, '\n') + 1; sign != '+' && line > 0 && strings.TrimLeftFunc(text[line:], isSpace) == "" {
			text = text[:line]
		}
		if text != "" {
			l.emit(tokData, text)
		}
		l.skip(len(body) - len(t))
		l.closing("%}", true)
		return nil
	}
}

// three- and two-character operators first, so that the longest matches.
var operators = []string{"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

// inside reads the tokens of a tag up to its end.
func (l *lexer) inside(endKind tokenKind, end string) error {
	var open []byte // brackets not yet closed: the end of the tag cannot come before
	for l.i < len(l.src) {
		rest := l.src[l.i:]
		if len(open) == 0 {
			p := l.pos
			if l.closing(end, endKind == tokBlockEnd) {
				l.toks = append(l.toks, token{endKind, "", p})
				return nil
			}
		}
		r, _ := utf8.DecodeRuneInString(rest)
		switch {
		case isSpace(r):
			l.skipSpace()
		case r >= '0' && r <= '9':
			if err := l.number(); err != nil {
				return err
			}
		case r == '_' || unicode.IsLetter(r):
			n := strings.IndexFunc(rest, func(r rune) bool {
				return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)
			})
			if n < 0 {
				n = len(rest)
			}
			l.emit(tokName, rest[:n])
			l.skip(n)
		case r == '"' || r == '\'':
			if err := l.quoted(byte(r)); err != nil {
				return err
			}
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(rest, o) {
					op = o
					break
				}
			}
			switch op {
			case "":
				return l.fail("unexpected character %q", r)
			case "(", "[", "{":
				open = append(open, map[string]byte{"(": ')', "[": ']', "{": '}'}[op])
			case ")", "]", "}":
				if len(open) == 0 {
					return l.fail("unexpected '%s'", op)
				}
				if want := open[len(open)-1]; want != op[0] {
					return l.fail("unexpected '%s', expected '%c'", op, want)
				}
				open = open[:len(open)-1]
			}
			l.emit(tokOp, op)
			l.skip(len(op))
		}
	}
	return l.fail("unexpected end of template inside a tag, expected '%s'", end)
}
