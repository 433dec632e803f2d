//go:build gpu

package cuda

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"attune/engine/exec"

	"pgregory.net/rapid"
)

// A slab's spans never touch, never overlap, and with what was handed out they are the whole slab.
func TestSlabs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opened := map[uint64]int64{}
		next := uint64(1 << 32)
		p := pool{
			open: func(n int64) (uint64, error) { next += 1 << 32; opened[next] = n; return next, nil },
			shut: func(base uint64) error { delete(opened, base); return nil },
		}
		type piece struct {
			block
			asked int64
		}
		var all []piece
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			if len(all) > 0 && rapid.IntRange(0, 2).Draw(t, "free") == 0 {
				i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
				if err := p.free(all[i].block); err != nil {
					t.Fatal(err)
				}
				all = slices.Delete(all, i, i+1)
			} else {
				n := rapid.OneOf(rapid.Int64Range(0, 3000), rapid.Int64Range(0, 4<<20)).Draw(t, "bytes")
				b, err := p.alloc(n)
				if err != nil || b.ptr%bufferAlign != 0 || b.size < n {
					t.Fatalf("%d bytes: %+v, %v", n, b, err)
				}
				all = append(all, piece{b, n})
			}
			slices.SortFunc(all, func(a, b piece) int { return int(int64(a.ptr) - int64(b.ptr)) })
			taken := map[*slab]int64{}
			for i, a := range all {
				if i > 0 && all[i-1].ptr+uint64(all[i-1].size) > a.ptr {
					t.Fatalf("%+v overlaps %+v", all[i-1], a)
				}
				if a.of != nil {
					taken[a.of] += a.size
				}
			}
			for _, s := range p.slabs {
				free := int64(0)
				for i, f := range s.free {
					free += f.size
					if i > 0 && s.free[i-1].off+s.free[i-1].size >= f.off {
						t.Fatalf("spans %v touch", s.free)
					}
				}
				if free+taken[s] != slabBytes || taken[s] == 0 {
					t.Fatalf("%d free and %d taken of a slab", free, taken[s])
				}
			}
		}
		for _, a := range all {
			if err := p.free(a.block); err != nil {
				t.Fatal(err)
			}
		}
		if len(opened) != 0 || len(p.slabs) != 0 {
			t.Fatalf("%d allocations are left, %d slabs", len(opened), len(p.slabs))
		}
	})
}

// Footprint is what the driver has less of, to the byte.
func TestFootprint(t *testing.T) {
	b := open(t, Options{})
	for _, sizes := range [][]int64{
		{0}, {1, 2, 3}, {1 << 20}, {1<<20 - 1, 2<<20 + 1}, {4096, 9 << 20, 700_000, 700_000, 700_000},
		slices.Repeat([]int64{900_000}, 50), slices.Repeat([]int64{64, 1 << 19}, 40),
	} {
		before, err := b.MemoryFree()
		if err != nil {
			t.Fatal(err)
		}
		var all []exec.Buffer
		for _, n := range sizes {
			m, err := b.Alloc(n)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		after, err := b.MemoryFree()
		if err != nil {
			t.Fatal(err)
		}
		if want := Footprint(sizes); before-after != want {
			t.Errorf("%v take %d bytes, Footprint says %d", sizes, before-after, want)
		}
		for _, m := range all {
			if err := m.Free(); err != nil {
				t.Fatal(err)
			}
		}
		if again, err := b.MemoryFree(); err != nil || again != before {
			t.Errorf("%v freed: %d bytes free, %d before (%v)", sizes, again, before, err)
		}
	}
}

// Memory comes zeroed, also where it held something before.
func TestMemoryIsZeroed(t *testing.T) {
	b := open(t, Options{})
	for _, n := range []int64{1, 300, 70_000, 3<<20 + 5} {
		for range 2 {
			m, err := b.Alloc(n)
			if err != nil {
				t.Fatal(err)
			}
			got := slices.Repeat([]byte{1}, int(n))
			if err := b.Download(got, m, 0); err != nil || slices.Max(got) != 0 {
				t.Fatalf("%d bytes are not zero, or %v", n, err)
			}
			if err := b.Upload(m, 0, slices.Repeat([]byte{7}, int(n))); err != nil {
				t.Fatal(err)
			}
			if err := m.Free(); err != nil {
				t.Fatal(err)
			}
			if err := m.Free(); err != nil {
				t.Errorf("freed again: %v", err)
			}
			if err := b.Upload(m, 0, []byte{1}); err == nil {
				t.Error("freed memory was written to")
			}
		}
	}
}

// What the GPU does not have is an ErrMemory that says how much was asked for and how much there is.
func TestNoMemory(t *testing.T) {
	b := open(t, Options{})
	_, err := b.Alloc(1 << 50)
	if !errors.Is(err, exec.ErrMemory) || !strings.Contains(err.Error(), "1125899906842624 bytes") || !strings.Contains(err.Error(), "are free") {
		t.Errorf("%v", err)
	}
	if _, err := b.Alloc(-1); err == nil || errors.Is(err, exec.ErrMemory) {
		t.Errorf("-1 bytes: %v", err)
	}
	if m, err := b.Alloc(100); err != nil {
		t.Errorf("after that nothing is given: %v", err)
	} else if err := m.Free(); err != nil {
		t.Error(err)
	}
}
