package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// precompiled is SentencePiece's table of replacements (precompiled_charsmap): the size of a trie in bytes, the trie as
// a double array of Darts (github.com/s-yata/darts-clone), and the replacements, each ended by a zero byte. All numbers
// are 32 bits, little-endian.
type precompiled struct {
	units        []uint32
	replacements string
	ascii        [utf8.RuneSelf]change // of single characters
}

// change is what becomes of a text.
type change struct {
	to string
	ok bool // false = it stays as it is
}

// maxReplacement is the longest replacement that counts, in bytes; published tables have up to 33.
const maxReplacement = 1024

func parsePrecompiled(raw json.RawMessage) (*precompiled, error) {
	var encoded string
	if absent(raw) {
		return nil, errors.New("normalizer Precompiled: precompiled_charsmap is missing")
	}
	if err := json.Unmarshal(raw, &encoded); err != nil {
		return nil, fmt.Errorf("normalizer Precompiled: precompiled_charsmap: %w", err)
	}
	blob, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("normalizer Precompiled: precompiled_charsmap: %w", err)
	}
	if len(blob) < 4 {
		return nil, fmt.Errorf("normalizer Precompiled: precompiled_charsmap has %d bytes, not even the size of its trie", len(blob))
	}
	size, rest := binary.LittleEndian.Uint32(blob)/4, blob[4:]
	if size == 0 || uint64(size)*4 > uint64(len(rest)) {
		return nil, fmt.Errorf("normalizer Precompiled: precompiled_charsmap says that its trie has %d entries, and %d bytes follow", size, len(rest))
	}
	p := &precompiled{units: make([]uint32, size), replacements: string(rest[size*4:])}
	for i := range p.units {
		p.units[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	if !utf8.ValidString(p.replacements) {
		return nil, errors.New("normalizer Precompiled: the replacements of precompiled_charsmap are not UTF-8")
	}
	for c := range p.ascii {
		p.ascii[c] = p.look(string(rune(c)))
	}
	return p, nil
}

// look finds the shortest entry that s begins with; what it says then replaces all of s.
func (p *precompiled) look(s string) change {
	at := p.units[0]
	node := child(at)
	for i := 0; i < len(s) && s[i] != 0; i++ {
		node ^= uint32(s[i])
		if uint64(node) >= uint64(len(p.units)) {
			break
		}
		at = p.units[node]
		if at&(1<<31|0xff) != uint32(s[i]) { // the label, which a leaf has none of
			break
		}
		node ^= child(at)
		if at>>8&1 == 0 { // nothing ends here
			continue
		}
		if uint64(node) >= uint64(len(p.units)) {
			break
		}
		return p.replacement(p.units[node] & (1<<31 - 1))
	}
	return change{}
}

// child is the offset from a node to its children.
func child(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

func (p *precompiled) replacement(from uint32) change {
	if uint64(from) > uint64(len(p.replacements)) {
		return change{}
	}
	to := p.replacements[from:min(len(p.replacements), int(from)+maxReplacement)]
	if end := strings.IndexByte(to, 0); end >= 0 {
		to = to[:end]
	}
	return change{to, utf8.ValidString(to)}
}

// wholeBelow is the length in bytes from which on a grapheme cluster is not looked up as a whole, but its characters are.
const wholeBelow = 6

func (p *precompiled) normalize(a aligned) (aligned, error) {
	var r *rewriter // nil = nothing has changed yet
	kept := 0       // a.s[kept:i] is to be copied
	put := func(c change, lo, hi int) error {
		if r == nil {
			r = rewrite(a, len(a.s)/8)
		}
		r.keep(kept, lo)
		r.put(c.to, lo, hi)
		kept = hi
		return checkGrowth(len(a.s), r.buf.Len())
	}
	for i := 0; i < len(a.s); {
		if c := a.s[i]; c < utf8.RuneSelf && (i+1 == len(a.s) || a.s[i+1] < utf8.RuneSelf && c != '\r') {
			// Between two ASCII characters a cluster ends, but within a line break of two.
			if x := p.ascii[c]; x.ok {
				if err := put(x, i, i+1); err != nil {
					return a, err
				}
			}
			i++
			continue
		}
		cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(a.s[i:], -1)
		if len(cluster) < wholeBelow {
			if x := p.look(cluster); x.ok {
				if err := put(x, i, i+len(cluster)); err != nil {
					return a, err
				}
				i += len(cluster)
				continue
			}
		}
		for k, c := range cluster {
			n := utf8.RuneLen(c)
			if x := p.look(cluster[k : k+n]); x.ok {
				if err := put(x, i+k, i+k+n); err != nil {
					return a, err
				}
			}
		}
		i += len(cluster)
	}
	if r == nil {
		return a, nil
	}
	r.keep(kept, len(a.s))
	return r.done(), nil
}
