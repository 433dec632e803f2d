package oniguruma

import (
	"strings"
	"sync"
	"unicode"
)

// Property is the table of \p{name}, as of Unicode 16.
func Property(name string) (*unicode.RangeTable, bool) {
	f, ok := properties()[plainName(name)]
	if !ok {
		return nil, false
	}
	t := &unicode.RangeTable{}
	for _, x := range f() {
		t.R32 = append(t.R32, unicode.Range32{Lo: uint32(x.lo), Hi: uint32(x.hi), Stride: 1})
	}
	return t, true
}

// The sets behind \s, \d, \w and \h.
var (
	spaces     = sync.OnceValue(func() set { return known("White_Space", unicode.White_Space) })
	digits     = sync.OnceValue(func() set { return category("Nd") })
	words      = sync.OnceValue(func() set { return union(alphabetic(), category("M"), category("Nd"), category("Pc")) })
	alphabetic = sync.OnceValue(func() set {
		return union(category("L"), category("Nl"), known("Other_Alphabetic", unicode.Other_Alphabetic))
	})
	// looseWords is \w outside sets, where Oniguruma takes Latin 1 for itself: ² ³ ¹ ¼ ½ ¾ are in it.
	looseWords = sync.OnceValue(func() set { return union(words(), set{{0xb2, 0xb3}, {0xb9, 0xb9}, {0xbc, 0xbe}}) })
	hex        = set{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}
)

// known is a table of package unicode with what newer versions of Unicode added to it.
func known(name string, t *unicode.RangeTable) set { return union(fromTables(t), added[name]) }

// category is a general category by its short name.
func category(name string) set {
	m := categories()
	if s, ok := m[name]; ok {
		return s
	}
	var parts []set
	for sub, s := range m {
		if name == "LC" && (sub == "Lu" || sub == "Ll" || sub == "Lt") || len(name) == 1 && sub[0] == name[0] {
			parts = append(parts, s)
		}
	}
	return union(parts...)
}

// categories are those of two letters.
var categories = sync.OnceValue(func() map[string]set {
	m := map[string]set{}
	var assigned []set
	for name, t := range unicode.Categories {
		if len(name) == 2 && name != "Cn" && name != "LC" {
			m[name] = known(name, t)
			assigned = append(assigned, m[name])
		}
	}
	m["Mn"] = m["Mn"].and(one(0x1171e).complement()) // moved to Mc
	m["Cn"] = union(assigned...).complement()
	return m
})

// plainName is the form in which names of sets are compared.
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(name))
}

// posix are the sets that may stand as [:name:].
var posix = map[string]func() set{
	"alnum":  func() set { return union(alphabetic(), digits()) },
	"alpha":  alphabetic,
	"ascii":  func() set { return set{{0, 0x7f}} },
	"blank":  func() set { return union(category("Zs"), one('\t')) },
	"cntrl":  func() set { return category("Cc") },
	"digit":  digits,
	"graph":  graphic,
	"lower":  func() set { return union(category("Ll"), fromTables(unicode.Other_Lowercase)) },
	"print":  func() set { return union(graphic(), category("Zs")) },
	"punct":  func() set { return union(category("P"), category("S")) },
	"space":  spaces,
	"upper":  func() set { return union(category("Lu"), fromTables(unicode.Other_Uppercase)) },
	"xdigit": func() set { return hex },
	"word":   words,
}

func graphic() set {
	return union(spaces(), category("Cc"), category("Cn"), category("Cs")).complement()
}

// properties finds the sets of \p{...} by plain name: categories by both their names, scripts, and some properties.
var properties = sync.OnceValue(func() map[string]func() set {
	m := map[string]func() set{
		"any":        func() set { return all },
		"assigned":   func() set { return category("Cn").complement() },
		"alphabetic": alphabetic,
		"uppercase":  posix["upper"],
		"lowercase":  posix["lower"],
		"word":       looseWords,
	}
	for _, name := range []string{"alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "space", "upper", "xdigit"} {
		m[name] = posix[name]
	}
	for name, t := range unicode.Scripts {
		m[plainName(name)] = func() set { return known(name, t) }
	}
	for _, name := range []string{"White_Space", "Ideographic", "Hex_Digit", "Unified_Ideograph", "Variation_Selector"} {
		m[plainName(name)] = func() set { return known(name, unicode.Properties[name]) }
	}
	for name := range unicode.Categories {
		m[plainName(name)] = func() set { return category(name) }
	}
	for alias, name := range unicode.CategoryAliases {
		m[plainName(alias)] = func() set { return category(name) }
	}
	return m
})
