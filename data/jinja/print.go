package jinja

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(): what printing a value gives.
func (r *run) str(v Value) (*Str, error) {
	switch v := v.(type) {
	case *Str:
		return v, nil
	case *undefined:
		return plain(""), nil
	case int64, float64, bool, nil:
		return plain(repr(v)), nil
	}
	if err := r.work(v); err != nil {
		return nil, err
	}
	p := &printer{r: r}
	if err := p.repr(v); err != nil {
		return nil, err
	}
	return p.out.done(), nil
}

// repr is Python's repr() of a value without items.
func repr(v Value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return formatFloat(v)
	case json.Number:
		return v.String()
	case *span:
		if v.step != 1 {
			return fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step)
		}
		return fmt.Sprintf("range(%d, %d)", v.start, v.stop)
	case *undefined:
		return "Undefined"
	case *generator:
		return "<generator object>"
	case *namespace:
		return "<Namespace>"
	case *macro:
		return "<Macro '" + v.def.name + "'>"
	case *loopState:
		return "<LoopContext " + strconv.Itoa(v.index+1) + ">"
	case *function:
		return "<function " + v.name + ">"
	}
	return ""
}

// formatFloat is Python's repr of a float.
func formatFloat(f float64) string { return floatText(f, "inf", "nan") }

// floatText is that with other names for what is no number.
func floatText(f float64, infinity, nan string) string {
	switch {
	case math.IsInf(f, 1):
		return infinity
	case math.IsInf(f, -1):
		return "-" + infinity
	case f != f:
		return nan
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.ContainsRune(s, '.') {
		s += ".0"
	}
	return s
}

// printer writes values with items; strings in them keep their origins.
type printer struct {
	r   *run
	out builder
}

func (p *printer) repr(v Value) error {
	if err := p.r.spend(8); err != nil {
		return err
	}
	switch v := v.(type) {
	case *Str:
		return p.quote(v)
	case *List:
		return p.items("[", v.items, "]")
	case *tuple:
		if len(v.items) == 1 {
			return p.items("(", v.items, ",)")
		}
		return p.items("(", v.items, ")")
	case *groupOf:
		return p.items("(", []Value{v.key, v.list}, ")")
	case *view:
		return p.items(v.kind+"([", v.items, "])")
	case *Dict:
		p.out.plain("{")
		for i, k := range v.keys {
			if i > 0 {
				p.out.plain(", ")
			}
			if err := p.repr(k); err != nil {
				return err
			}
			p.out.plain(": ")
			if err := p.repr(v.vals[i]); err != nil {
				return err
			}
		}
		p.out.plain("}")
		return nil
	}
	p.out.plain(repr(v))
	return nil
}

func (p *printer) items(open string, items []Value, end string) error {
	p.out.plain(open)
	for i, it := range items {
		if i > 0 {
			p.out.plain(", ")
		}
		if err := p.repr(it); err != nil {
			return err
		}
	}
	p.out.plain(end)
	return nil
}

// quote writes Python's repr of a string.
func (p *printer) quote(s *Str) error {
	if err := p.r.spend(2 + len(s.s)); err != nil {
		return err
	}
	q := "'"
	if strings.Contains(s.s, "'") && !strings.Contains(s.s, `"`) {
		q = `"`
	}
	p.out.plain(q)
	p.out.str(s.mapRunes(func(_ int, c rune) string {
		if short := shortEscape(c); short != "" {
			return short
		}
		switch {
		case string(c) == q:
			return `\` + q
		case c < 0x20 || c == 0x7f:
			return `\x` + hex(c, 2)
		case c < 0x7f || unicode.IsPrint(c):
			return string(c)
		case c <= 0xff:
			return `\x` + hex(c, 2)
		case c <= 0xffff:
			return `\u` + hex(c, 4)
		}
		return `\U` + hex(c, 8)
	}))
	p.out.plain(q)
	return nil
}

// shortEscape is how Python and JSON both write a character in quotes, "" where they have no such way.
func shortEscape(c rune) string {
	switch c {
	case '\\':
		return `\\`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	return ""
}

func hex(c rune, width int) string {
	s := strconv.FormatInt(int64(c), 16)
	return strings.Repeat("0", width-len(s)) + s
}
