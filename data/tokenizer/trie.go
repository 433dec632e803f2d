package tokenizer

import (
	"slices"
	"sort"
	"strings"
)

// maxPiece is the longest piece of a Unigram or WordPiece vocabulary, in bytes: it bounds the time spent at each byte of
// a word. Published ones have up to about a hundred.
const maxPiece = 1024

// maxAllPieces bounds the pieces of a vocabulary together, in bytes.
const maxAllPieces = 16 << 20

// trie finds strings by their bytes. Node 0 is the root; the children of node n are the nodes from kids[n] up to
// kids[n+1], in the order of their bytes.
type trie struct {
	kids  []int32
	label []byte     // what leads to a node
	value []int32    // of the string that ends at a node, -1 = none does
	top   [256]int32 // the children of the root, -1 = none
}

// newTrie makes a trie of strings with values from 0 on. Of equal strings the last counts, an empty one does not.
func newTrie(keys []string, values []int32) *trie {
	order := make([]int32, 0, len(keys))
	for i, k := range keys {
		if k != "" {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return strings.Compare(keys[a], keys[b]) })
	t := &trie{kids: []int32{1}, label: []byte{0}, value: []int32{-1}}
	for b := range t.top {
		t.top[b] = -1
	}
	// level holds the strings below each node of one depth, as ranges of order.
	type below struct{ lo, hi int }
	level, next := []below{{0, len(order)}}, []below(nil)
	node := 0
	for depth := 0; len(level) > 0; depth++ {
		next = next[:0]
		for _, in := range level {
			i := in.lo
			for ; i < in.hi && len(keys[order[i]]) == depth; i++ {
				t.value[node] = values[order[i]]
			}
			for i < in.hi {
				b := keys[order[i]][depth]
				n := sort.Search(in.hi-i, func(k int) bool { return keys[order[i+k]][depth] > b })
				if depth == 0 {
					t.top[b] = int32(len(t.label))
				}
				t.label, t.value = append(t.label, b), append(t.value, -1)
				next = append(next, below{i, i + n})
				i += n
			}
			node++
			t.kids = append(t.kids, int32(len(t.label)))
		}
		level, next = next, level
	}
	return t
}

// step is the child of a node by a byte, -1 if there is none.
func (t *trie) step(node int32, b byte) int32 {
	if node == 0 {
		return t.top[b]
	}
	lo, hi := t.kids[node], t.kids[node+1]
	for hi-lo > 8 {
		if mid := (lo + hi) / 2; t.label[mid] <= b {
			lo = mid
		} else {
			hi = mid
		}
	}
	for ; lo < hi; lo++ {
		if t.label[lo] == b {
			return lo
		}
	}
	return -1
}

// find is the value of a string; ok is false if it is not in the trie.
func (t *trie) find(s string) (value int32, ok bool) {
	node := int32(0)
	for i := range len(s) {
		if node = t.step(node, s[i]); node < 0 {
			return 0, false
		}
	}
	return t.value[node], t.value[node] >= 0
}

// longest is the longest string of the trie that s begins with; n = 0 if there is none.
func (t *trie) longest(s string) (value int32, n int) {
	node := int32(0)
	for i := range len(s) {
		if node = t.step(node, s[i]); node < 0 {
			break
		}
		if v := t.value[node]; v >= 0 {
			value, n = v, i+1
		}
	}
	return value, n
}
