package loader

import (
	"encoding/binary"
	"fmt"
	"hash"
	"math"

	"attune/data"
)

// Set holds the examples of one source as records of ids and of weights as runs. In memory is what finds them, 16 bytes
// an example; a set from NewSet keeps the records in a file, so that its rows may be many times the memory. The zero
// value keeps them in memory and is ready to use. A Set does not change once a Loader has it; from then on it is safe for
// use by several goroutines at once.
type Set struct {
	file    string
	other   map[int]string // files of examples that are not from file
	chunks  [][]entry      // all but the last are full
	n       int
	tokens  int
	records spill
}

// entry is where the record of an example begins: its ids, 4 bytes each, then its runs, 8 bytes each.
type entry struct {
	at   int64
	line uint32
	runs uint32
}

// chunkLen keeps a growing index from being copied, which would take it twice.
const chunkLen = 1 << 12

const (
	idBytes  = 4
	runBytes = 8 // length and weight
)

// NewSet is an empty Set that keeps what is more than a MiB in a file of dir. The file has no name: nothing is left behind
// when the process ends, even by a kill.
func NewSet(dir string) *Set { return &Set{records: spill{dir: dir, limit: tailBytes}} }

// SetOf is a Set of the given examples, in memory.
func SetOf(examples []data.Example) *Set {
	s := &Set{}
	for _, e := range examples {
		_ = s.Add(e) // fails for want of disk only
	}
	return s
}

// Add copies an example into the set. It needs as many weights as ids. It fails where the file cannot be written.
func (s *Set) Add(e data.Example) error {
	if s.n == 0 {
		s.file = e.File
	}
	if e.File != s.file {
		if s.other == nil {
			s.other = map[int]string{}
		}
		s.other[s.n] = e.File
	}
	at := entry{at: s.records.size(), line: uint32(e.Line)}
	b := s.records.tail
	for _, id := range e.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	for i := 0; i < len(e.IDs); {
		j := i + 1
		for j < len(e.IDs) && math.Float32bits(e.Weights[j]) == math.Float32bits(e.Weights[i]) {
			j++
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(j-i))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(e.Weights[i]))
		at.runs++
		i = j
	}
	s.records.tail = b
	if s.n%chunkLen == 0 {
		s.chunks = append(s.chunks, make([]entry, 0, chunkLen))
	}
	last := &s.chunks[len(s.chunks)-1]
	*last = append(*last, at)
	s.n++
	s.tokens += len(e.IDs)
	return s.records.settle()
}

// Close gives the file back; the set is of no use after it.
func (s *Set) Close() error { return s.records.close() }

// Len is the number of examples.
func (s *Set) Len() int { return s.n }

// Tokens is the number of ids in all examples.
func (s *Set) Tokens() int { return s.tokens }

func (s *Set) entry(i int) entry { return s.chunks[i/chunkLen][i%chunkLen] }

// bounds are where the record of example i begins and how many ids and runs it has.
func (s *Set) bounds(i int) (at int64, ids, runs int) {
	e, end := s.entry(i), s.records.size()
	if i+1 < s.n {
		end = s.entry(i + 1).at
	}
	runs = int(e.runs)
	return e.at, (int(end-e.at) - runs*runBytes) / idBytes, runs
}

// length is the number of ids of example i.
func (s *Set) length(i int) int {
	_, ids, _ := s.bounds(i)
	return ids
}

// Example gives example i with Ordinal i, a copy. It fails where the file cannot be read.
func (s *Set) Example(i int) (data.Example, error) {
	at, n, runs := s.bounds(i)
	record, err := s.records.at(at, n*idBytes+runs*runBytes)
	if err != nil {
		return data.Example{}, err
	}
	e := data.Example{
		Position: data.Position{File: s.file, Line: int(s.entry(i).line)},
		IDs:      make([]int32, n),
		Weights:  make([]float32, 0, n),
		Ordinal:  i,
	}
	if file, ok := s.other[i]; ok {
		e.File = file
	}
	for k := range e.IDs {
		e.IDs[k] = int32(binary.LittleEndian.Uint32(record[k*idBytes:]))
	}
	for r := record[n*idBytes:]; len(r) > 0; r = r[runBytes:] {
		weight := math.Float32frombits(binary.LittleEndian.Uint32(r[idBytes:]))
		for range binary.LittleEndian.Uint32(r) {
			e.Weights = append(e.Weights, weight)
		}
	}
	return e, nil
}

// digest writes ids, weights and the bounds of the examples; not where they came from.
func (s *Set) digest(h hash.Hash) error {
	buf := make([]byte, 0, 1<<16)
	put := func(v uint32) {
		buf = binary.LittleEndian.AppendUint32(buf, v)
		if len(buf) == cap(buf) {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	put(uint32(s.n))
	for i := range s.n {
		put(uint32(s.length(i)))
	}
	h.Write(buf)
	for _, runs := range []bool{false, true} { // of all examples the ids, then of all the runs
		if err := s.each(func(ids, weights []byte) {
			if runs {
				ids = weights
			}
			h.Write(ids)
		}); err != nil {
			return err
		}
	}
	return nil
}

// each gives the two parts of every record, in order, reading many at once.
func (s *Set) each(f func(ids, runs []byte)) error {
	for i := 0; i < s.n; {
		from, _, _ := s.bounds(i)
		end, to := i, from
		for end < s.n && to-from < tailBytes && (to < s.records.filed) == (from < s.records.filed) {
			_, ids, runs := s.bounds(end)
			to += int64(ids*idBytes + runs*runBytes)
			end++
		}
		b, err := s.records.at(from, int(to-from))
		if err != nil {
			return fmt.Errorf("hash the rows: %w", err)
		}
		for ; i < end; i++ {
			_, ids, runs := s.bounds(i)
			f(b[:ids*idBytes], b[ids*idBytes:][:runs*runBytes])
			b = b[ids*idBytes+runs*runBytes:]
		}
	}
	return nil
}
