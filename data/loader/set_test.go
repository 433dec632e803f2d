package loader

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"attune/data"
	"attune/data/pack"

	"pgregory.net/rapid"
)

// TestSet: what is put in comes out, wherever it is from.
func TestSet(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var want []data.Example
		for i := range rapid.IntRange(0, 20).Draw(t, "n") {
			n := rapid.IntRange(0, 12).Draw(t, "length")
			want = append(want, data.Example{
				Position: data.Position{File: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "file"), Line: i + 1},
				IDs:      rapid.SliceOfN(rapid.Int32(), n, n).Draw(t, "ids"),
				Weights:  rapid.SliceOfN(rapid.SampledFrom([]float32{0, 1, 0.5}), n, n).Draw(t, "weights"),
				Ordinal:  i,
			})
		}
		for name, s := range map[string]*Set{"memory": SetOf(want), "file": spilled(t, dir, want)} {
			tokens := 0
			for i, w := range want {
				got, err := s.Example(i)
				if err != nil || got.Position != w.Position || got.Ordinal != i || !slices.Equal(got.IDs, w.IDs) || !slices.Equal(got.Weights, w.Weights) {
					t.Fatalf("%s: example %d is %+v, want %+v: %v", name, i, got, w, err)
				}
				tokens += len(w.IDs)
			}
			if s.Len() != len(want) || s.Tokens() != tokens {
				t.Fatalf("%s: %d examples of %d tokens, want %d of %d", name, s.Len(), s.Tokens(), len(want), tokens)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
			t.Fatalf("left behind: %v, %v", names, err)
		}
	})
}

// spilled is a Set that files whatever is more than 40 bytes.
func spilled(t interface{ Fatal(...any) }, dir string, examples []data.Example) *Set {
	s := NewSet(dir)
	s.records.limit = 40
	for _, e := range examples {
		if err := s.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestFullDisk: what cannot be kept is said, with where and what to do.
func TestFullDisk(t *testing.T) {
	s := NewSet(filepath.Join(t.TempDir(), "none"))
	e := data.Example{IDs: make([]int32, tailBytes/4), Weights: make([]float32, tailBytes/4)}
	err := s.Add(e)
	for _, word := range []string{s.records.dir, "4 bytes a token", "TMPDIR"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in %v", word, err)
		}
	}
	small := NewSet(s.records.dir)
	if err := small.Add(data.Example{IDs: e.IDs[:100], Weights: e.Weights[:100]}); err != nil {
		t.Errorf("a small set needs no disk: %v", err)
	}
}

// TestUnreadable: a file that cannot be read ends the run with an error, not with other tokens.
func TestUnreadable(t *testing.T) {
	s := spilled(t, t.TempDir(), numbered(0, 20))
	l := mustNew(t, []Source{{Set: s, Weight: 1, Repeat: 1}}, Options{ExamplesPerStep: 3, Epochs: 1})
	h := NewHeld([]*Set{s}, 64, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if p := l.Pack(0, PrefetchOptions{MicroTokens: 64}); p.Err == nil || len(p.Batches) > 0 {
		t.Errorf("packed %+v", p)
	}
	if _, err := l.Fingerprint(); err == nil {
		t.Error("a fingerprint of nothing")
	}
	for b, err := range h.Batches() {
		if err == nil {
			t.Errorf("a batch %+v", b)
		}
	}
}

// TestHeld gives the rows of all examples at once, in their order.
func TestHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sets []*Set
		var all []data.Example
		for range rapid.IntRange(0, 3).Draw(t, "sets") {
			var examples []data.Example
			for i, n := range rapid.SliceOfN(rapid.IntRange(1, 200), 0, 12).Draw(t, "lengths") {
				e := data.Example{IDs: make([]int32, n), Weights: make([]float32, n), Ordinal: i}
				for k := range n {
					e.IDs[k], e.Weights[k] = int32(len(all)), float32(k%3)
				}
				examples, all = append(examples, e), append(all, e)
			}
			sets = append(sets, SetOf(examples))
		}
		lengths := make([]int, len(all))
		for i, e := range all {
			lengths[i] = len(e.IDs)
		}
		var want []data.Batch
		for _, row := range pack.Assign(lengths, 128) {
			examples := make([]data.Example, len(row))
			for k, i := range row {
				examples[k] = all[i]
			}
			want = append(want, pack.EvalRow(examples, pack.Options{PadID: 7}))
		}
		h := NewHeld(sets, 128, 7)
		var got []data.Batch
		longest, padded, seen := 0, int64(0), map[int]bool{}
		for b, err := range h.Batches() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b)
			longest, padded = max(longest, b.Tokens), padded+int64(b.Tokens)
			seen[b.Tokens] = true
		}
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		if h != nil && (h.Longest != longest || h.Padded != padded || h.Lengths != len(seen)) {
			t.Fatalf("longest %d, %d in all, %d lengths, want %d, %d and %d", h.Longest, h.Padded, h.Lengths, longest, padded, len(seen))
		}
	})
}

// TestMillionRows: a million rows of 20 tokens, 80 MB of ids, cost what finds them and the order: 24 bytes a row each.
func TestMillionRows(t *testing.T) {
	const rows, length = 1_000_000, 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := NewSet(t.TempDir())
	e := data.Example{IDs: make([]int32, length), Weights: make([]float32, length)}
	for i := range e.Weights[length/2:] {
		e.Weights[length/2+i] = 1
	}
	for i := range rows {
		e.IDs[0] = int32(i)
		if err := s.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	l := mustNew(t, []Source{{Set: s, Weight: 1, Repeat: 1}}, Options{ExamplesPerStep: 8, Epochs: 1, Shuffle: true})
	for _, i := range []int{0, 777, l.Steps() - 1} {
		for _, e := range first(l.Step(i)) {
			if int(e.IDs[0]) != e.Ordinal || e.Trained() != length/2 {
				t.Fatalf("step %d: example %d has the ids %v, %d trained", i, e.Ordinal, e.IDs, e.Trained())
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := after.HeapAlloc - before.HeapAlloc; grown > 40<<20 {
		t.Errorf("%d bytes", grown)
	}
	runtime.KeepAlive(l)
}
