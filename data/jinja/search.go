package jinja

import "strings"

// shortNeedle is up to where the standard library's search takes time linear in the text alone. Longer ones it compares
// again and again where a text repeats how they begin.
const shortNeedle = 64

// index is strings.Index, lastIndex strings.LastIndex, in time linear in both lengths.
func index(s, sub string) int {
	if len(sub) <= shortNeedle {
		return strings.Index(s, sub)
	}
	return search(len(s), len(sub), func(i int) byte { return s[i] }, func(i int) byte { return sub[i] })
}

func lastIndex(s, sub string) int {
	if len(sub) <= shortNeedle {
		return strings.LastIndex(s, sub)
	}
	n, m := len(s), len(sub)
	i := search(n, m, func(i int) byte { return s[n-1-i] }, func(i int) byte { return sub[m-1-i] })
	if i < 0 {
		return -1
	}
	return n - m - i
}

// count is strings.Count in the same time.
func count(s, sub string) int {
	if len(sub) <= shortNeedle {
		return strings.Count(s, sub)
	}
	n := 0
	for {
		i := index(s, sub)
		if i < 0 {
			return n
		}
		n++
		s = s[i+len(sub):]
	}
}

// search finds the first place of m bytes among n, as Knuth, Morris and Pratt do.
func search(n, m int, s, sub func(i int) byte) int {
	if m > n {
		return -1
	}
	fits := make([]int32, m) // of sub[:i+1], how much at its end is how sub begins
	k := int32(0)
	for i := 1; i < m; i++ {
		for k > 0 && sub(i) != sub(int(k)) {
			k = fits[k-1]
		}
		if sub(i) == sub(int(k)) {
			k++
		}
		fits[i] = k
	}
	k = 0
	for i := range n {
		for k > 0 && s(i) != sub(int(k)) {
			k = fits[k-1]
		}
		if s(i) == sub(int(k)) {
			k++
		}
		if int(k) == m {
			return i + 1 - m
		}
	}
	return -1
}
