package tokenizer

// heapFrom is the number of symbols from which a heap finds the next merge; below it, looking at all is faster.
const heapFrom = 40

// mergeAll merges pairs of symbols, the lowest rank first and there the leftmost, until none is left. It leaves the
// symbols that remain at the front of w.symbols.
func (m *bpe) mergeAll(w *merger) {
	m.link(w.symbols)
	if len(w.symbols) < heapFrom {
		m.mergeSmall(w)
	} else {
		m.mergeHeap(w)
	}
}

// link sets the neighbours of symbols and their merges.
func (m *bpe) link(s []symbol) {
	for i := range s {
		s[i].prev, s[i].next = int32(i-1), int32(i+1)
		s[i].rank = noMerge
		if i+1 < len(s) {
			m.look(&s[i], s[i+1].id)
		} else {
			s[i].next = -1
		}
	}
}

// look sets the merge of a symbol with the one behind it.
func (m *bpe) look(s *symbol, next int32) {
	s.rank = noMerge
	if x, ok := m.merges[pair(s.id, next)]; ok {
		s.rank, s.into = x.rank, x.id
	}
}

// mergeSmall takes quadratic time. Symbols stand close together; prev and next are not used.
func (m *bpe) mergeSmall(w *merger) {
	s := w.symbols
	for len(s) > 1 {
		best, rank := 0, noMerge
		for i := range s {
			if s[i].rank < rank {
				best, rank = i, s[i].rank
			}
		}
		if rank == noMerge {
			break
		}
		s[best].id, s[best].hi = s[best].into, s[best+1].hi
		s = append(s[:best+1], s[best+2:]...)
		s[best].rank = noMerge
		if best+1 < len(s) {
			m.look(&s[best], s[best+1].id)
		}
		if best > 0 {
			m.look(&s[best-1], s[best].id)
		}
	}
	w.symbols = s
}

// mergeHeap takes n log n time. A symbol that was merged into the one before it has id -1; an entry of the heap counts
// only if its symbol still has that rank.
func (m *bpe) mergeHeap(w *merger) {
	s := w.symbols
	w.heap = w.heap[:0]
	for i := range s {
		if s[i].rank != noMerge {
			w.heap = append(w.heap, entry(s[i].rank, int32(i)))
		}
	}
	for i := len(w.heap)/2 - 1; i >= 0; i-- {
		w.sink(i)
	}
	for len(w.heap) > 0 {
		top := w.heap[0]
		at, rank := int32(uint32(top)), int32(top>>32)
		w.pop()
		cur := &s[at]
		if cur.id < 0 || cur.rank != rank {
			continue
		}
		gone := &s[cur.next]
		cur.id, cur.hi, cur.next = cur.into, gone.hi, gone.next
		gone.id, gone.rank = -1, noMerge
		cur.rank = noMerge
		if cur.next >= 0 {
			s[cur.next].prev = at
			m.look(cur, s[cur.next].id)
			w.push(cur.rank, at)
		}
		if cur.prev >= 0 {
			m.look(&s[cur.prev], cur.id)
			w.push(s[cur.prev].rank, cur.prev)
		}
	}
	out := s[:0]
	for _, x := range s {
		if x.id >= 0 {
			out = append(out, x)
		}
	}
	w.symbols = out
}

func entry(rank, at int32) uint64 { return uint64(uint32(rank))<<32 | uint64(uint32(at)) }

func (w *merger) push(rank, at int32) {
	if rank == noMerge {
		return
	}
	w.heap = append(w.heap, entry(rank, at))
	h := w.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up] <= h[i] {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
}

func (w *merger) pop() {
	n := len(w.heap) - 1
	w.heap[0] = w.heap[n]
	w.heap = w.heap[:n]
	w.sink(0)
}

// sink moves entry i down to its place.
func (w *merger) sink(i int) {
	h := w.heap
	for {
		least := i
		for down := 2*i + 1; down <= 2*i+2 && down < len(h); down++ {
			if h[down] < h[least] {
				least = down
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
