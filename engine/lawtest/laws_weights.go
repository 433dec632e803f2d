package lawtest

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"attune/data"
	"attune/data/pack"
	"attune/engine/model"
	"attune/engine/nn"
	"attune/engine/peft"
	"attune/engine/session"
	"attune/kernels"

	"pgregory.net/rapid"
)

// drawAdapter is any trial of an adapter.
func (b *bench) drawAdapter(rt *rapid.T) trial {
	c := b.draw(rt)
	if c.full {
		c.full, c.lora = false, drawLoRA(rt)
	}
	return c
}

// logits are those behind the last of ids.
func logits(rt *rapid.T, s *session.Session, ids []int32) []float32 {
	rt.Helper()
	d, err := s.NewDecoder(len(ids))
	must(rt, err)
	got, err := d.Feed(ids)
	must(rt, errors.Join(err, d.Close()))
	return slices.Clone(got)
}

// merged: a model whose weights are W + Scale·B·A has the logits of W with the adapter. It is computed in float32: in
// bfloat16 the sum is rounded to 8 bits, and its two parts are not.
func merged(b *bench, rt *rapid.T) {
	c := b.drawAdapter(rt)
	c.dtype = kernels.Float32
	j := b.start(rt, c)
	base := b.model(rt, c.model)
	weights, err := merge(base, c.lora, j.weights())
	dir := filepath.Join(b.temp(rt), "merged")
	if err == nil {
		err = model.Save(files(), dir, base, weights, nil, nil)
	}
	if err != nil {
		rt.Fatal(err)
	}
	m, err := model.Open(dir)
	if err != nil {
		rt.Fatal(err)
	}
	rt.Cleanup(func() { _ = m.Close() })
	s, err := session.New(session.Options{Device: b.device(rt, c), Model: m, Dtype: c.dtype})
	if err != nil {
		rt.Fatal(err)
	}
	rt.Cleanup(func() { _ = s.Close() })
	if err := s.Place(); err != nil {
		rt.Fatal(err)
	}
	text := c.examples[0].IDs
	got, want := logits(rt, s, text), logits(rt, j.Session, text)
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-4*max(1, math.Abs(float64(want[i])))) {
			rt.Fatalf("logit %d is %.7g merged, %.7g with the adapter", i, got[i], want[i])
		}
	}
}

// merge is every weight of the base in float32, those that carry an adapter with Scale·B·A added in float64.
func merge(base *model.Checkpoint, lora peft.Config, adapter []model.Weight) ([]model.Weight, error) {
	ab := map[string]model.Weight{}
	for _, w := range adapter {
		ab[w.Name] = w
	}
	tensors, err := base.Config.Tensors()
	if err != nil {
		return nil, err
	}
	var weights []model.Weight
	for _, t := range tensors {
		w, err := base.Weight(t.Name)
		if err != nil {
			return nil, err
		}
		if w.Data, err = w.As(kernels.Float32); err != nil {
			return nil, err
		}
		w.Dtype, w.Data = kernels.Float32, slices.Clone(w.Data)
		path := strings.TrimSuffix(t.Name, "weight")
		if down, ok := ab[path+"lora_A.weight"]; ok {
			add(w, down, ab[path+"lora_B.weight"], lora.Scale())
		}
		weights = append(weights, w)
	}
	return weights, nil
}

// add is W += scale·B·A for W (out, in), A (r, in), B (out, r).
func add(w, a, b model.Weight, scale float64) {
	out, in, r := w.Shape[0], w.Shape[1], a.Shape[0]
	for o := range out {
		for i := range in {
			sum := 0.0
			for k := range r {
				sum += float(b.Data[4*(o*r+k):]) * float(a.Data[4*(k*in+i):])
			}
			at := w.Data[4*(o*in+i):]
			binary.LittleEndian.PutUint32(at, math.Float32bits(float32(float(at)+scale*sum)))
		}
	}
}

// opened: what was trained, saved and opened again is what it was, to the bit, and computes what it did; and saving it
// again gives the same file.
func opened(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	j := b.start(rt, c)
	j.train()
	want := j.outcome().weights
	first, second := filepath.Join(b.temp(rt), "first"), filepath.Join(b.temp(rt), "second")
	base := b.model(rt, c.model)
	var again *job
	if c.full {
		must(rt, model.Save(files(), first, base, j.weights(), nil, nil))
		m, err := model.Open(first)
		must(rt, err)
		rt.Cleanup(func() { _ = m.Close() })
		again = b.startFrom(rt, c, m, nil)
		must(rt, model.Save(files(), second, m, again.weights(), nil, nil))
	} else {
		must(rt, peft.Save(files(), first, c.lora, j.weights(), peft.Card{}))
		a, err := peft.Load(first)
		must(rt, err)
		rt.Cleanup(func() { _ = a.Close() })
		must(rt, a.Check(c.lora, j.Session.Params()))
		if !c.lora.Targets.All && !reflect.DeepEqual(a.Config, c.lora) { // what all-linear stands for is spelled out
			rt.Fatalf("the adapter's settings are %+v, saved were %+v", a.Config, c.lora)
		}
		again = b.startFrom(rt, c, base, func(p nn.Param) ([]byte, error) {
			w, err := a.Weight(p.Name)
			if err != nil {
				return nil, err
			}
			return w.As(kernels.Float32)
		})
		must(rt, peft.Save(files(), second, a.Config, again.weights(), peft.Card{}))
	}
	sameValues(rt, "opened again: weight", again.outcome().weights, want)
	batch := pack.EvalRow(c.examples, pack.Options{PadID: c.pad})
	if got, was := again.loss(batch), j.loss(batch); got != was {
		rt.Fatalf("opened again the loss is %.9g, it was %.9g", got, was)
	}
	sameFiles(rt, second, first)
}

func must(rt *rapid.T, err error) {
	if err != nil {
		rt.Helper()
		rt.Fatal(err)
	}
}

// loss judges a batch.
func (j *job) loss(batch data.Batch) float64 {
	j.rt.Helper()
	loss, err := j.Session.Loss(j.rt.Context(), batch)
	must(j.rt, err)
	return loss
}

// sameFiles fails where two directories differ in a byte.
func sameFiles(rt *rapid.T, got, want string) {
	rt.Helper()
	files := map[string][2][]byte{}
	for i, dir := range []string{got, want} {
		list, err := os.ReadDir(dir)
		must(rt, err)
		for _, f := range list {
			data, err := os.ReadFile(filepath.Join(dir, f.Name()))
			must(rt, err)
			both := files[f.Name()]
			both[i] = data
			files[f.Name()] = both
		}
	}
	for name, both := range files {
		if !slices.Equal(both[0], both[1]) {
			rt.Fatalf("saved again %s has other bytes", name)
		}
	}
}

// generated: what a text's tokens cost by the logits of a key/value cache, fed in any two parts and then one by one, is
// what judging them in a row says.
func generated(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	j := b.start(rt, c)
	e := c.examples[rapid.IntRange(0, len(c.examples)-1).Draw(rt, "which example")]
	all := len(e.IDs) - 1
	from := rapid.OneOf(rapid.IntRange(1, all), rapid.Just(all)).Draw(rt, "tokens fed at once")
	for k := range e.Weights {
		e.Weights[k] = 0
		if k >= from {
			e.Weights[k] = 1
		}
	}
	want := j.loss(pack.EvalRow([]data.Example{e}, pack.Options{PadID: c.pad}))
	d, err := j.Session.NewDecoder(all) // full at the end: nothing has room that should not be there
	must(rt, err)
	rt.Cleanup(func() { _ = d.Close() })
	got := 0.0
	for at := 0; at < all; {
		n := 1
		if at == 0 {
			n = from
		}
		logits, err := d.Feed(e.IDs[at : at+n])
		must(rt, err)
		at += n
		got += nll(logits, e.IDs[at])
	}
	tol := 1e-5
	if c.dtype == kernels.BFloat16 {
		tol = 2e-2
	}
	if d := math.Abs(got-want) / max(1, math.Abs(want)); !(d <= tol) {
		rt.Fatalf("%d tokens cost %.9g generated, %.9g judged: off by %.2g, allowed are %.2g", len(e.IDs)-from, got, want, d, tol)
	}
}

// nll is -ln softmax(logits)[id].
func nll(logits []float32, id int32) float64 {
	top, sum := float64(slices.Max(logits)), 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return top + math.Log(sum) - float64(logits[id])
}
