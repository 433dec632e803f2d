//go:build gpu

package cuda

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/internal/rng"
	"attune/kernels"
)

func noise(seed uint64, n int) []byte {
	r := rng.New(seed)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Intn(256))
	}
	return b
}

// Transfers of all sizes, from several goroutines at once and through slots that are used again, arrive as they were sent;
// what was sent from may change at once.
func TestTransfers(t *testing.T) {
	b := open(t, Options{})
	const size = 2*slotBytes + 12345
	buf, err := b.Alloc(size)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat(noise(1, 1<<16), size>>16+1)[:size]
	for i := 0; i < size; i += 1 << 16 {
		want[i] = byte(i >> 16) // no two pieces alike
	}
	var all sync.WaitGroup
	for _, part := range [][2]int{{0, 1}, {1, 4096}, {4096, 4097}, {4097, slotBytes}, {slotBytes, slotBytes + 77}, {slotBytes + 77, size}} {
		all.Go(func() {
			src := slices.Clone(want[part[0]:part[1]])
			if err := b.Upload(buf, int64(part[0]), src); err != nil {
				t.Error(err)
			}
			clear(src)
		})
	}
	all.Wait()
	got := make([]byte, size)
	if err := b.Download(got, buf, 0); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("what came back differs (%v)", err)
	}
	host, free, err := b.HostAlloc(size - 5)
	if err != nil || len(host) != size-5 || slices.Max(host) != 0 {
		t.Fatalf("%d bytes of host memory (%v)", len(host), err)
	}
	if err := b.Download(host[3:], buf, 7); err != nil || !bytes.Equal(host[3:], want[7:size-1]) {
		t.Errorf("what came to page-locked memory differs (%v)", err)
	}
	if err := free(); err != nil {
		t.Error(err)
	}
	if err := buf.Free(); err != nil {
		t.Error(err)
	}
}

// Uploads, launches and downloads take effect in the order of the calls, however late they run.
func TestOrder(t *testing.T) {
	b := open(t, Options{})
	x, sum := tensor(t, b, 0, 0, 0, 0), tensor(t, b, 0, 0, 0, 0)
	add := exec.Launch{Kernel: kernels.Accumulate{}, In: []exec.Operand{sum, x}, Out: []exec.Operand{sum}}
	var want [4]float32
	for i := range 300 { // through both slots' bookkeeping many times, with no wait between
		v := []float32{float32(i), 1, float32(-i), float32(i % 7)}
		for j := range want {
			want[j] += v[j]
		}
		src := exectest.Tensor{F: v}.Bytes(kernels.Float32)
		if err := exec.Upload(b, x, src); err != nil {
			t.Fatal(err)
		}
		clear(src)
		if err := b.Launch(add); err != nil {
			t.Fatal(err)
		}
	}
	if got := values(t, b, sum); !slices.Equal(got, want[:]) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A recording is its launches, each time on what the operands hold then, and it stays usable while earlier runs of it are
// under way. It may be made while others are queued.
func TestRecording(t *testing.T) {
	b := open(t, Options{})
	x, y, sum := tensor(t, b, 1, 2, 3, 4), tensor(t, b, 0, 0, 0, 0), tensor(t, b, 0, 0, 0, 0)
	launches := []exec.Launch{
		{Kernel: kernels.Add{}, In: []exec.Operand{x, x}, Out: []exec.Operand{y}},
		{Kernel: kernels.Accumulate{}, In: []exec.Operand{sum, y}, Out: []exec.Operand{sum}},
		{Kernel: kernels.Zero{}, Out: []exec.Operand{y}},
	}
	if err := b.Launch(launches[0]); err != nil {
		t.Fatal(err)
	}
	r, err := b.Record(launches)
	if err != nil {
		t.Fatal(err)
	}
	clear(launches)
	if got := values(t, b, sum); !slices.Equal(got, make([]float32, 4)) {
		t.Errorf("recording added %v", got)
	}
	if got := values(t, b, y); !slices.Equal(got, []float32{2, 4, 6, 8}) {
		t.Errorf("what was queued before gave %v", got)
	}
	for range 3 {
		if err := r.Queue(); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec.Upload(b, x, exectest.Tensor{F: []float32{10, 0, 0, 0}}.Bytes(kernels.Float32)); err != nil {
		t.Fatal(err)
	}
	if err := r.Queue(); err != nil {
		t.Fatal(err)
	}
	if got, want := values(t, b, sum), []float32{26, 12, 18, 24}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if r.Bytes() < 0 {
		t.Errorf("%d bytes", r.Bytes())
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Launches taken together give the bits of each alone, also when their list comes again with other contents.
func TestLaunchAll(t *testing.T) {
	b := open(t, Options{})
	r := rng.New(3)
	random := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.Norm())
		}
		return v
	}
	hyper := []float32{1e-2, 0.1, 0.01, 0.5}
	adam := kernels.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1}
	build := func(all [][]float32) (sums, updates []exec.Launch, state []exec.Operand) {
		h := tensor(t, b, hyper...)
		for i := 0; i < len(all); i += 2 {
			p, g := tensor(t, b, all[i]...), tensor(t, b, all[i+1]...)
			m, v := tensor(t, b, make([]float32, len(all[i]))...), tensor(t, b, make([]float32, len(all[i]))...)
			s := tensor(t, b, 0)
			s.Shape = nil
			sums = append(sums, exec.Launch{Kernel: kernels.SumSq{}, In: []exec.Operand{g}, Out: []exec.Operand{s}})
			updates = append(updates, exec.Launch{Kernel: adam, In: []exec.Operand{p, g, m, v, h}, Out: []exec.Operand{p, m, v}})
			state = append(state, s, p, m, v)
		}
		return sums, updates, state
	}
	var all [][]float32
	for _, n := range []int{1, 5, 4096, 40_000, 16384} {
		all = append(all, random(n), random(n))
	}
	oneSums, oneUpdates, one := build(all)
	manySums, manyUpdates, many := build(all)
	scratch, err := b.Alloc(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for _, l := range append(slices.Clone(oneSums), oneUpdates...) {
			l.Scratch = exec.Region{Buf: scratch, Len: 1 << 20}
			if err := b.Launch(l); err != nil {
				t.Fatal(err)
			}
		}
		for _, ls := range [][]exec.Launch{manySums, manyUpdates} {
			if err := exec.LaunchAll(b, ls); err != nil {
				t.Fatal(err)
			}
		}
		for i := range one {
			if got, want := values(t, b, many[i]), values(t, b, one[i]); !slices.Equal(got, want) {
				t.Errorf("round %d: tensor %d differs", round, i)
			}
		}
	}
	if len(b.batches) != 2 {
		t.Errorf("%d lists are kept of 2", len(b.batches))
	}
	for range 2 * mostBatches { // every list is another: old ones go, and nothing is lost
		sums, _, state := build(all[:4])
		if err := b.LaunchAll(sums); err != nil {
			t.Fatal(err)
		}
		if got, want := values(t, b, state[4]), values(t, b, one[4]); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if len(b.batches) != mostBatches {
		t.Errorf("%d lists are kept of %d", len(b.batches), mostBatches)
	}
	if err := scratch.Free(); err != nil {
		t.Error(err)
	}
}
