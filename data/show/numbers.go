package show

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Numbers are numbers of rows, from 1, as ranges.
type Numbers []struct{ from, to int }

// First are the rows 1 to n.
func First(n int) Numbers { return Numbers{{1, n}} }

// ParseNumbers reads "7", "1-20", "30-" (to the end) and lists of these with commas.
func ParseNumbers(s string) (Numbers, error) {
	var out Numbers
	for _, part := range strings.Split(s, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.Atoi(low)
		to := from
		if err == nil && ranged {
			if to = math.MaxInt - 1; high != "" {
				to, err = strconv.Atoi(high)
			}
		}
		if err != nil || from < 1 || to < from {
			return nil, fmt.Errorf("rows %q: %q is no row or range of rows; write 7, 1-20, 30- or 1-3,8", s, part)
		}
		out = append(out, struct{ from, to int }{from, to})
	}
	return out, nil
}

func (ns Numbers) has(n int) bool {
	for _, r := range ns {
		if r.from <= n && n <= r.to {
			return true
		}
	}
	return false
}

func (ns Numbers) last() int {
	last := 0
	for _, r := range ns {
		last = max(last, r.to)
	}
	return last
}
