package tokenizer

import (
	"errors"
	"fmt"
	"strings"
)

// translate rewrites a regular expression of Oniguruma, the engine of the tokenizers library, for regexp2 where the two
// read the same text differently: \w (all marks and numbers), \h (hexadecimal digits) and sets within
// sets, which are unions. What it cannot rewrite is an error.
func translate(pattern string) (string, error) {
	const wordSet = `\p{L}\p{M}\p{N}\p{Pc}\u24B6-\u24E9`
	const hexSet = `0-9a-fA-F`
	var b strings.Builder
	depth := 0 // of sets
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\' && i+1 < len(pattern):
			i++
			set := map[byte]string{'w': wordSet, 'W': wordSet, 'h': hexSet, 'H': hexSet}[pattern[i]]
			negated := pattern[i] == 'W' || pattern[i] == 'H'
			switch {
			case set == "":
				b.WriteString(pattern[i-1 : i+1])
			case depth > 0 && negated:
				return "", fmt.Errorf(`\%c within a set is not supported`, pattern[i])
			case depth > 0:
				b.WriteString(set)
			case negated:
				b.WriteString("[^" + set + "]")
			default:
				b.WriteString("[" + set + "]")
			}
		case c == '[' && depth == 0:
			depth++
			b.WriteByte(c)
			if strings.HasPrefix(pattern[i+1:], "^") {
				b.WriteByte('^')
				i++
			}
		case c == '[' && (strings.HasPrefix(pattern[i:], "[:") || strings.HasPrefix(pattern[i:], "[^")):
			return "", errors.New("a named or negated set within a set is not supported")
		case c == '[':
			depth++
		case c == ']' && depth > 1:
			depth--
		case c == '&' && depth > 0 && strings.HasPrefix(pattern[i:], "&&"):
			return "", errors.New("the intersection of sets is not supported")
		default:
			if c == ']' && depth == 1 {
				depth = 0
			}
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}
