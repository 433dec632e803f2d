package loader

import (
	"encoding/binary"
	"hash"
	"math"

	"attune/data"
)

// Set holds the examples of one source: their ids behind one another and their weights as runs, so that a million short
// rows cost little more than their ids. The zero value is empty and ready to use. A Set does not change once a Loader
// has it.
type Set struct {
	file  string
	other map[int]string // files of examples that are not from file
	ids   []int32
	runs  []run
	at    []offset // one an example: where its ids and runs begin
}

// run is length tokens of one weight.
type run struct {
	length int32
	weight float32
}

type offset struct {
	id, run int
	line    int
}

// SetOf is a Set of the given examples.
func SetOf(examples []data.Example) *Set {
	s := &Set{}
	for _, e := range examples {
		s.Add(e)
	}
	return s
}

// Add copies an example into the set. It needs as many weights as ids.
func (s *Set) Add(e data.Example) {
	if len(s.at) == 0 {
		s.file = e.File
	}
	if e.File != s.file {
		if s.other == nil {
			s.other = map[int]string{}
		}
		s.other[len(s.at)] = e.File
	}
	s.at = append(s.at, offset{id: len(s.ids), run: len(s.runs), line: e.Line})
	s.ids = append(s.ids, e.IDs...)
	for i := 0; i < len(e.IDs); {
		j := i + 1
		for j < len(e.IDs) && math.Float32bits(e.Weights[j]) == math.Float32bits(e.Weights[i]) {
			j++
		}
		s.runs = append(s.runs, run{int32(j - i), e.Weights[i]})
		i = j
	}
}

// Len is the number of examples.
func (s *Set) Len() int { return len(s.at) }

// Tokens is the number of ids in all examples.
func (s *Set) Tokens() int { return len(s.ids) }

// Example gives example i with Ordinal i. Its IDs are the set's own and must not be written to.
func (s *Set) Example(i int) data.Example {
	from, to := s.at[i], offset{id: len(s.ids), run: len(s.runs)}
	if i+1 < len(s.at) {
		to = s.at[i+1]
	}
	e := data.Example{
		Position: data.Position{File: s.file, Line: from.line},
		IDs:      s.ids[from.id:to.id:to.id],
		Weights:  make([]float32, 0, to.id-from.id),
		Ordinal:  i,
	}
	if file, ok := s.other[i]; ok {
		e.File = file
	}
	for _, r := range s.runs[from.run:to.run] {
		for range r.length {
			e.Weights = append(e.Weights, r.weight)
		}
	}
	return e
}

// length is the number of ids of example i.
func (s *Set) length(i int) int {
	if i+1 < len(s.at) {
		return s.at[i+1].id - s.at[i].id
	}
	return len(s.ids) - s.at[i].id
}

// digest writes ids, weights and the bounds of the examples; not where they came from.
func (s *Set) digest(h hash.Hash) {
	buf := make([]byte, 0, 1<<16)
	put := func(v uint32) {
		buf = binary.LittleEndian.AppendUint32(buf, v)
		if len(buf) == cap(buf) {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	put(uint32(len(s.at)))
	for i, from := range s.at {
		end := len(s.ids)
		if i+1 < len(s.at) {
			end = s.at[i+1].id
		}
		put(uint32(end - from.id))
	}
	for _, id := range s.ids {
		put(uint32(id))
	}
	for _, r := range s.runs {
		put(uint32(r.length))
		put(math.Float32bits(r.weight))
	}
	h.Write(buf)
}
