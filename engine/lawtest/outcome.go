package lawtest

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"attune/engine/exec"
	"attune/engine/train"
	"attune/kernels"

	"pgregory.net/rapid"
)

// tensor is a float32 tensor as it was read from a device.
type tensor struct {
	shape []int
	data  []byte
}

type values map[string]tensor

// outcome is what a run came to.
type outcome struct {
	steps   map[int]train.Step       // by number, without times
	evals   map[int]train.Evaluation // by the steps before them
	end     train.Result             // without times
	weights values                   // those trained
	sums    values                   // AdamW's first moments, or gradients: sums of gradients
	squares values                   // AdamW's second moments
}

// outcome is what the run has come to.
func (j *job) outcome() outcome {
	j.rt.Helper()
	out := outcome{steps: j.steps, evals: j.evals, end: j.end, weights: values{}, sums: values{}, squares: values{}}
	for _, w := range j.weights() {
		out.weights[w.Name] = tensor{w.Shape, w.Data}
	}
	suffixes := map[string]values{".exp_avg": out.sums, ".exp_avg_sq": out.squares}
	for _, m := range j.Optimizer.State() {
		for suffix, into := range suffixes {
			if name, ok := strings.CutSuffix(m.Name, suffix); ok {
				var err error
				if into[name], err = j.read(m.Value.Shape, m.Value); err != nil {
					j.rt.Fatal(err)
				}
			}
		}
	}
	return out
}

func (j *job) read(shape []int, o exec.Operand) (tensor, error) {
	data, err := j.Session.Read(o)
	return tensor{shape, bytes.Clone(data)}, err
}

// same fails where two outcomes differ in a bit.
func same(rt *rapid.T, what string, got, want outcome) {
	rt.Helper()
	sameNotes(rt, what+": step", got.steps, want.steps)
	sameNotes(rt, what+": evaluation after step", got.evals, want.evals)
	if !reflect.DeepEqual(got.end, want.end) {
		rt.Fatalf("%s: the run ends with %+v, want %+v", what, got.end, want.end)
	}
	sameValues(rt, what+": weight", got.weights, want.weights)
	sameValues(rt, what+": first moment of", got.sums, want.sums)
	sameValues(rt, what+": second moment of", got.squares, want.squares)
}

// sameNotes compares what was told while training; want has no other numbers than got.
func sameNotes[T comparable](rt *rapid.T, what string, got, want map[int]T) {
	rt.Helper()
	for _, n := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[n]; !ok || g != want[n] {
			rt.Fatalf("%s %d is %+v, want %+v", what, n, g, want[n])
		}
	}
	if len(got) != len(want) {
		rt.Fatalf("%s: there are %d, want %d", what, len(got), len(want))
	}
}

func sameValues(rt *rapid.T, what string, got, want values) {
	rt.Helper()
	sameNames(rt, what, got, want)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		g, w := got[name], want[name]
		if !slices.Equal(g.shape, w.shape) {
			rt.Fatalf("%s %s has the shape %v, want %v", what, name, g.shape, w.shape)
		}
		for at := 0; at < len(w.data); at += 4 {
			if !bytes.Equal(g.data[at:at+4], w.data[at:at+4]) {
				rt.Fatalf("%s %s %v: element %d is %.9g, want %.9g, to the bit", what, name, w.shape, at/4, float(g.data[at:]), float(w.data[at:]))
			}
		}
	}
}

func sameNames(rt *rapid.T, what string, got, want values) {
	rt.Helper()
	if names, wanted := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); len(wanted) == 0 || !slices.Equal(names, wanted) {
		rt.Fatalf("%s: of %q, want %q", what, names, wanted)
	}
}

func float(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }

// tolerance is how far two ways of computing the same may part, relative to what is compared.
type tolerance struct {
	loss    float64 // of a step
	norm    float64 // of a step's gradient
	element float64 // of a tensor: relative to it and to the tensor's root mean square
	tensor  float64 // of a whole tensor, its 2-norm
}

// rounding is that of sums in another order. In bfloat16 an activation may fall to the other side of a rounding, 2^-9 of it,
// and takes what follows with it: single elements tell little there, and tensors are compared.
func rounding(d kernels.Dtype) tolerance {
	if d == kernels.BFloat16 {
		return tolerance{loss: 5e-3, norm: 2e-2, element: math.Inf(1), tensor: 2e-2}
	}
	return tolerance{loss: 1e-6, norm: 1e-5, element: 2e-5, tensor: 1e-5}
}

// cancelled is how large a tensor is taken to be at least, as a part of the largest: where all terms of a gradient cancel
// (that of a query with a single key) what is left is the rounding of terms that are of the size of others.
const cancelled = 1e-2

// common is the size that norms and the largest tensor's elements are taken to have at least, since the terms that cancel may
// be those of the only tensors that are trained: what is left of them is up to 1e-7 in float32, where norms are mostly some
// tenths.
const common = 0.1

// near fails where losses, norms or sums of gradients differ by more than the tolerance.
func near(rt *rapid.T, what string, tol tolerance, got, want outcome) {
	rt.Helper()
	if len(got.steps) != len(want.steps) {
		rt.Fatalf("%s: %d steps, want %d", what, len(got.steps), len(want.steps))
	}
	for _, i := range slices.Sorted(maps.Keys(want.steps)) {
		g, w := got.steps[i], want.steps[i]
		if d := distance(g.Loss, w.Loss); d > tol.loss {
			rt.Fatalf("%s: step %d has the loss %.9g, want %.9g: off by %.2g, allowed are %.2g", what, i, g.Loss, w.Loss, d, tol.loss)
		}
		if d := math.Abs(g.GradNorm-w.GradNorm) / max(g.GradNorm, w.GradNorm, common); !(d <= tol.norm) {
			rt.Fatalf("%s: step %d has the gradient norm %.9g, want %.9g: off by %.2g, allowed are %.2g", what, i, g.GradNorm, w.GradNorm, d, tol.norm)
		}
		if g.TrainedTokens != w.TrainedTokens || g.Tokens != w.Tokens {
			rt.Fatalf("%s: step %d has %d tokens, %d trained; want %d, %d", what, i, g.Tokens, g.TrainedTokens, w.Tokens, w.TrainedTokens)
		}
	}
	sameNames(rt, what, got.sums, want.sums)
	largest := common
	for _, t := range want.sums {
		largest = max(largest, t.rms())
	}
	for _, name := range slices.Sorted(maps.Keys(want.sums)) {
		nearTensor(rt, what+": gradient of "+name, tol, got.sums[name], want.sums[name], cancelled*largest)
	}
}

// nearTensor is near of a tensor whose size is taken to be least at least.
func nearTensor(rt *rapid.T, what string, tol tolerance, got, want tensor, least float64) {
	rt.Helper()
	size := max(want.rms(), least)
	off := 0.0
	for at := 0; at < len(want.data); at += 4 {
		x, y := float(got.data[at:]), float(want.data[at:])
		if d := math.Abs(x-y) / (math.Abs(y) + size); d > tol.element || math.IsNaN(d) {
			rt.Fatalf("%s %v: element %d is %.9g, want %.9g: off by %.2g of its size and the tensor's, allowed are %.2g",
				what, want.shape, at/4, x, y, d, tol.element)
		}
		off += (x - y) * (x - y)
	}
	if d := math.Sqrt(off/float64(len(want.data)/4)) / size; d > tol.tensor {
		rt.Fatalf("%s %v: off by %.2g of its size, allowed are %.2g", what, want.shape, d, tol.tensor)
	}
}

// distance is relative to the larger of two.
func distance(a, b float64) float64 {
	if a == b {
		return 0
	}
	d := math.Abs(a-b) / max(math.Abs(a), math.Abs(b))
	if math.IsNaN(d) {
		return math.Inf(1)
	}
	return d
}

// rms is the root of the mean square.
func (t tensor) rms() float64 {
	sum, n := 0.0, len(t.data)/4
	for at := 0; at < len(t.data); at += 4 {
		f := float(t.data[at:])
		sum += f * f
	}
	return math.Sqrt(sum / float64(max(n, 1)))
}
