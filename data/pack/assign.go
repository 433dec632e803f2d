package pack

import (
	"cmp"
	"slices"
)

// Assign puts examples of so many ids into rows, and gives the examples of each by number. Two ways are tried, and the one
// that computes fewer tokens is taken, the first where they are equal: best-fit decreasing, and the same number of rows
// filled evenly.
func Assign(lengths []int, microTokens int) [][]int {
	limit := max(microTokens/Quantum*Quantum, Quantum)
	order := make([]int, 0, len(lengths))
	for i, n := range lengths {
		if n > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lengths[b], lengths[a]) })

	var rows [][]int
	for len(order) > 0 && lengths[order[0]] > limit {
		rows = append(rows, order[:1:1])
		order = order[1:]
	}
	shared := bestFit(lengths, order, limit)
	if even, ok := evenly(lengths, order, limit, len(shared)); ok && computed(lengths, even) < computed(lengths, shared) {
		shared = even
	}
	rows = append(rows, shared...)
	for _, row := range rows {
		slices.Sort(row)
	}
	return rows
}

// bestFit puts each example, longest first, into the row with the least room that still takes it; the older row where
// two have the same (Johnson, Near-Optimal Bin Packing Algorithms, 1973).
func bestFit(lengths, order []int, limit int) [][]int {
	type space struct{ room, row int }
	less := func(a, b space) int { return cmp.Or(cmp.Compare(a.room, b.room), cmp.Compare(a.row, b.row)) }
	var rows [][]int
	var open []space // sorted by room, then row
	for _, i := range order {
		at, _ := slices.BinarySearchFunc(open, space{room: lengths[i]}, less)
		s := space{room: limit, row: len(rows)}
		if at < len(open) {
			s = open[at]
			open = slices.Delete(open, at, at+1)
		} else {
			rows = append(rows, nil)
		}
		rows[s.row] = append(rows[s.row], i)
		s.room -= lengths[i]
		at, _ = slices.BinarySearchFunc(open, s, less)
		open = slices.Insert(open, at, s)
	}
	return rows
}

// evenly puts each example, longest first, into the emptiest of k rows; false if that breaks the limit.
func evenly(lengths, order []int, limit, k int) ([][]int, bool) {
	type space struct{ used, row int }
	rows := make([][]int, k)
	used := make([]space, k) // sorted by used, then row: the first is the emptiest
	for r := range used {
		used[r].row = r
	}
	for _, i := range order {
		s := used[0]
		s.used += lengths[i]
		if s.used > limit {
			return nil, false
		}
		rows[s.row] = append(rows[s.row], i)
		at, _ := slices.BinarySearchFunc(used[1:], s, func(a, b space) int {
			return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.row, b.row))
		})
		copy(used, used[1:at+1])
		used[at] = s
	}
	return rows, true
}

// computed is the number of tokens, padding included, that rows make the model compute.
func computed(lengths []int, rows [][]int) int {
	total := 0
	for _, row := range rows {
		n := 0
		for _, i := range row {
			n += lengths[i]
		}
		total += RoundUp(n)
	}
	return total
}
