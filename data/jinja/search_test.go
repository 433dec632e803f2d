package jinja

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSearch holds the searches to those of the standard library, on texts that repeat themselves.
func TestSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'a' + byte(r.IntN(8)/7)
		}
		return string(b)
	}
	found := 0
	for range 3000 {
		unit := random(1 + r.IntN(20))
		s := strings.Repeat(unit, 1+r.IntN(40)) + random(r.IntN(10)) + strings.Repeat(unit, r.IntN(30))
		from := r.IntN(len(s))
		sub := s[from : from+r.IntN(len(s)-from+1)]
		if r.IntN(2) == 0 {
			sub += random(r.IntN(3))
		}
		if got, want := index(s, sub), strings.Index(s, sub); got != want {
			t.Fatalf("index(%q, %q) is %d, want %d", s, sub, got, want)
		}
		if got, want := lastIndex(s, sub), strings.LastIndex(s, sub); got != want {
			t.Fatalf("lastIndex(%q, %q) is %d, want %d", s, sub, got, want)
		}
		if got, want := count(s, sub), strings.Count(s, sub); got != want {
			t.Fatalf("count(%q, %q) is %d, want %d", s, sub, got, want)
		}
		if len(sub) > shortNeedle && strings.Count(s, sub) > 1 {
			found++
		}
	}
	if found < 100 {
		t.Errorf("only %d long ones were found more than once", found)
	}
}
