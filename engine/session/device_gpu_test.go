//go:build gpu

package session

import "testing"

// Rows of any length up to the most have at most eight lengths, none shorter than the row or longer than the most.
func TestEighths(t *testing.T) {
	for _, most := range []int{1, 63, 64, 65, 512, 513, 1000, 2048, 4097, 131072} {
		lengths := map[int]bool{}
		for tokens := 1; tokens <= most; tokens++ {
			n := eighths(tokens, most)
			if n < tokens || n > most {
				t.Fatalf("a row of %d tokens of at most %d is computed at %d", tokens, most, n)
			}
			lengths[n] = true
		}
		if len(lengths) > 8 {
			t.Errorf("rows of at most %d tokens have %d lengths", most, len(lengths))
		}
	}
	if n := eighths(2000, 4096); n != 2048 {
		t.Errorf("2000 of 4096: got %d, want 2048", n)
	}
	if n := eighths(5000, 4096); n != 5000 {
		t.Errorf("a row longer than the most: got %d, want it as it is", n)
	}
}
