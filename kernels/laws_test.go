package kernels

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// randomTensor has values in [-1,1) that seed fixes.
func randomTensor(seed uint32, shape ...int) *Tensor[float64] {
	n := 1
	for _, d := range shape {
		n *= d
	}
	t := &Tensor[float64]{Shape: shape, F: make([]float64, n)}
	for i := range t.F {
		t.F[i] = 2*float64(Uniform(seed, 0, uint32(i))) - 1
	}
	return t
}

func empty(shape ...int) *Tensor[float64] {
	t := randomTensor(0, shape...)
	clear(t.F)
	return t
}

func intTensor(v ...int32) *Tensor[float64] { return &Tensor[float64]{Shape: []int{len(v)}, I: v} }

// tokens is the part [lo, hi) of the first dimension.
func (t *Tensor[T]) tokens(lo, hi int) *Tensor[T] {
	shape := append([]int{hi - lo}, t.Shape[1:]...)
	if t.I != nil {
		return &Tensor[T]{Shape: shape, I: t.I[lo:hi]}
	}
	n := len(t.F) / t.Shape[0]
	return &Tensor[T]{Shape: shape, F: t.F[lo*n : hi*n]}
}

func near(t interface{ Errorf(string, ...any) }, what string, got, want []float64, tol float64) {
	for i, w := range want {
		if d := math.Abs(got[i] - w); !(d <= tol*(1+math.Abs(w))) {
			t.Errorf("%s: element %d is %.17g, want %.17g", what, i, got[i], w)
			return
		}
	}
}

// Packing: a row of several segments gives what each gives alone, forward and backward, to the bit.
func TestAttentionOfAPackedRowIsThatOfItsSegments(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(1, 7), 1, 4).Draw(r, "lengths")
		a := Attention{Scale: 0.6, Window: rapid.IntRange(0, 4).Draw(r, "window"), SoftCap: rapid.SampledFrom([]float64{0, 2}).Draw(r, "soft cap")}
		const heads, kv, dh = 4, 2, 3
		var segments []int32
		for s, n := range lengths {
			segments = append(segments, slices.Repeat([]int32{int32(s)}, n)...)
		}
		n := len(segments)
		q, k, v, do := randomTensor(1, n, heads, dh), randomTensor(2, n, kv, dh), randomTensor(3, n, kv, dh), randomTensor(4, n, heads, dh)
		run := func(q, k, v, do, s *Tensor[float64]) []*Tensor[float64] {
			t := len(s.I)
			out := []*Tensor[float64]{empty(t, heads, dh), empty(t, heads), empty(t, heads, dh), empty(t, kv, dh), empty(t, kv, dh)}
			a.Float64([]*Tensor[float64]{q, k, v, s}, out[:2])
			AttentionBwd(a).Float64([]*Tensor[float64]{q, k, v, s, out[0], out[1], do}, out[2:])
			return out
		}
		all := run(q, k, v, do, intTensor(segments...))
		lo := 0
		for _, n := range lengths {
			hi := lo + n
			alone := run(q.tokens(lo, hi), k.tokens(lo, hi), v.tokens(lo, hi), do.tokens(lo, hi), intTensor(make([]int32, n)...))
			for i, o := range all {
				if !slices.Equal(o.tokens(lo, hi).F, alone[i].F) {
					r.Errorf("output %d of tokens %d to %d differs", i, lo, hi)
				}
			}
			lo = hi
		}
	})
}

// Generation: a sequence given to the cache in pieces of any length attends as it does at once.
func TestCachedAttentionIsAttention(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pieces := rapid.SliceOfN(rapid.IntRange(1, 5), 1, 4).Draw(r, "pieces")
		a := Attention{Scale: 0.6, Window: rapid.IntRange(0, 4).Draw(r, "window"), SoftCap: rapid.SampledFrom([]float64{0, 2}).Draw(r, "soft cap")}
		const heads, kv, dh = 4, 2, 3
		n := 0
		for _, p := range pieces {
			n += p
		}
		q, k, v := randomTensor(1, n, heads, dh), randomTensor(2, n, kv, dh), randomTensor(3, n, kv, dh)
		want := empty(n, heads, dh)
		a.Float64([]*Tensor[float64]{q, k, v, intTensor(make([]int32, n)...)}, []*Tensor[float64]{want})
		kc, vc := empty(n+2, kv, dh), empty(n+2, kv, dh)
		lo := 0
		for _, p := range pieces {
			var positions []int32
			for i := lo; i < lo+p; i++ {
				positions = append(positions, int32(i))
			}
			o := empty(p, heads, dh)
			in := []*Tensor[float64]{q.tokens(lo, lo+p), k.tokens(lo, lo+p), v.tokens(lo, lo+p), kc, vc, intTensor(positions...)}
			AttentionCached(a).Float64(in, []*Tensor[float64]{o})
			near(r, "o", o.F, want.tokens(lo, lo+p).F, 1e-15)
			lo += p
		}
	})
}

// A rotation keeps lengths and is undone by its inverse; scores depend on the distance of two positions only.
func TestRoPEIsARotation(t *testing.T) {
	k := RoPE{InvFreq: []float64{1, 0.1, 0.003}, Scale: 1}
	inverse := k
	inverse.Inverse = true
	x := randomTensor(1, 4, 2, 6)
	at := func(k RoPE, x *Tensor[float64], positions ...int32) *Tensor[float64] {
		y := empty(x.Shape...)
		k.Float64([]*Tensor[float64]{x, intTensor(positions...)}, []*Tensor[float64]{y})
		return y
	}
	y := at(k, x, 0, 5, 77, 4000)
	near(t, "there and back", at(inverse, y, 0, 5, 77, 4000).F, x.F, 1e-14)
	near(t, "position 0", y.tokens(0, 1).F, x.tokens(0, 1).F, 0)
	near(t, "length", []float64{dot(y.F, y.F)}, []float64{dot(x.F, x.F)}, 1e-14)
	far := at(k, x, 1000, 1005, 1077, 5000)
	near(t, "score", []float64{dot(far.F[12:18], far.F[24:30])}, []float64{dot(y.F[12:18], y.F[24:30])}, 1e-12)
}

// LoRA is the weight W + Scale·B A, its input's gradient included.
func TestLoRAIsAMergedWeight(t *testing.T) {
	const n, in, out, rank, scale = 5, 6, 4, 3, 0.7
	x, w, a, b, dy := randomTensor(1, n, in), randomTensor(2, out, in), randomTensor(3, rank, in), randomTensor(4, out, rank), randomTensor(5, n, out)
	merged := &Tensor[float64]{Shape: w.Shape, F: slices.Clone(w.F)}
	addNN(scale, b.F, a.F, merged.F, out, in, rank)
	y, xa, want, dx, wantDX := empty(n, out), empty(n, rank), empty(n, out), empty(n, in), empty(n, in)
	Linear{Rank: rank, Scale: scale}.Float64([]*Tensor[float64]{x, w, a, b}, []*Tensor[float64]{y, xa})
	Linear{}.Float64([]*Tensor[float64]{x, merged}, []*Tensor[float64]{want, nil})
	near(t, "y", y.F, want.F, 1e-14)
	LinearBwd{Rank: rank, Scale: scale}.Float64([]*Tensor[float64]{x, w, a, b, xa, dy}, []*Tensor[float64]{dx, nil, nil, nil, nil})
	LinearBwd{}.Float64([]*Tensor[float64]{x, merged, dy}, []*Tensor[float64]{wantDX, nil, nil, nil, nil})
	near(t, "dx", dx.F, wantDX.F, 1e-14)
}

// Dropout drops the share it says, keeps the expectation, and depends on a token's key alone, not on where it stands.
func TestDropoutGoesByKeys(t *testing.T) {
	const n, in, p = 400, 50, 0.3
	ones := empty(n, in)
	for i := range ones.F {
		ones.F[i] = 1
	}
	keys := make([]int32, n)
	for i := range keys {
		keys[i] = int32(i*i - 7*i)
	}
	k := Linear{Rank: in, Scale: 1, Dropout: p, Salt: 3}
	identity := empty(in, in) // A, so that xA is drop(x)
	for i := range in {
		identity.F[i*in+i] = 1
	}
	dropped := func(x *Tensor[float64], k Linear, keys []int32) []float64 {
		xa := empty(len(keys), in)
		k.Float64([]*Tensor[float64]{x, empty(1, in), identity, empty(1, in), intTensor(keys...)}, []*Tensor[float64]{nil, xa})
		return xa.F
	}
	d := dropped(ones, k, keys)
	var zeros, sum float64
	for _, v := range d {
		if v == 0 {
			zeros++
		} else if math.Abs(v-1/(1-p)) > 1e-15 {
			t.Fatalf("a kept 1 became %v", v)
		}
		sum += v
	}
	const total = n * in
	if off := math.Abs(zeros/total-p) / math.Sqrt(p*(1-p)/total); off > 5 {
		t.Errorf("%v of the elements were dropped, %.1f standard deviations from %v", zeros/total, off, p)
	}
	if math.Abs(sum/total-1) > 0.03 {
		t.Errorf("the mean of dropped ones is %v", sum/total)
	}
	backwards := slices.Clone(keys)
	slices.Reverse(backwards)
	e := dropped(ones, k, backwards)
	for i := range n {
		if !slices.Equal(d[i*in:(i+1)*in], e[(n-1-i)*in:(n-i)*in]) {
			t.Fatalf("token %d is dropped otherwise at another place", i)
		}
	}
	k.Salt++
	if slices.Equal(d, dropped(ones, k, keys)) {
		t.Error("another layer drops the same elements")
	}
}

// The loss is linear in the weights, and so are its gradients: micro-batches add up to the batch.
func TestLossesOfPartsAddUp(t *testing.T) {
	const n, d, vocab = 6, 4, 9
	hidden, w, targets := randomTensor(1, n, d), randomTensor(2, vocab, d), intTensor(3, 1, 4, 1, 5, 8)
	run := func(weights ...float64) []*Tensor[float64] {
		out := []*Tensor[float64]{empty(), empty(n, d), empty(vocab, d), empty(n)}
		in := []*Tensor[float64]{hidden, w, targets, {Shape: []int{n}, F: weights}}
		LinearCrossEntropy{SoftCap: 3}.Float64(in, out)
		return out
	}
	all, left, right := run(0.1, 0.2, 0.3, 0.1, 0.2, 0.1), run(0.1, 0.2, 0.3, 0, 0, 0), run(0, 0, 0, 0.1, 0.2, 0.1)
	for i, a := range all {
		sum := slices.Clone(left[i].F)
		axpy(1, right[i].F, sum)
		near(t, "left and right", sum, a.F, 1e-15)
	}
	if left[3].F[4] != 0 || right[3].F[4] == 0 {
		t.Errorf("nll of token 4 is %v where its weight is 0 and %v where not", left[3].F[4], right[3].F[4])
	}
}
