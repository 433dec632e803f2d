package session_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"attune/data"
	"attune/data/pack"
	"attune/engine/exec"
	"attune/engine/model"
	"attune/engine/nn"
	"attune/engine/session"
	"attune/internal/disk"
	"attune/kernels"
)

var le = binary.LittleEndian

// trainable is a placed session whose gradients are bound, and how they are zeroed. Its model is stored as float16, so that
// every weight has memory of its own.
func trainable(t *testing.T, dtype kernels.Dtype, lora bool, layers int) (s *session.Session, device *session.Device, grads map[string]exec.Operand, zero func()) {
	t.Helper()
	var trained func(string) bool
	if !lora {
		trained = func(string) bool { return true }
	}
	s, _ = opened(t, kernels.Float16, dtype, trained, func(o *session.Options) {
		device, o.Layers = o.Device, layers
		if lora {
			o.Adapter = func(string, int, int) *nn.LoRA { return &nn.LoRA{Rank: 2, Scale: 1, Dropout: 0.25} }
		}
	})
	if err := s.Place(); err != nil {
		t.Fatal(err)
	}
	if err := s.LoadAdapter(func(p nn.Param) ([]byte, error) {
		return session.Float32Bytes(filled(p.Shape, func(i int) float32 { return float32(i%7-3) / 10 })), nil
	}); err != nil {
		t.Fatal(err)
	}
	grads = map[string]exec.Operand{}
	if err := s.BindGradients(func(name string) (exec.Operand, error) {
		g := s.Value(name)
		var err error
		if g.Buf, err = device.Alloc(g.Bytes()); err == nil {
			atEnd(t, g.Buf.Free)
			grads[name] = g
		}
		return g, err
	}); err != nil {
		t.Fatal(err)
	}
	return s, device, grads, func() {
		for _, g := range grads {
			if err := exec.Upload(device, g, make([]byte, g.Bytes())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func filled(shape []int, value func(i int) float32) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = value(i)
	}
	return v
}

// set gives elements of a weight other values; the rest stay.
func set(t *testing.T, s *session.Session, device *session.Device, name string, value func(i int, was float32) float32) {
	t.Helper()
	o := s.Value(name)
	raw, err := exec.Download(device, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int(o.Bytes() / o.Dtype.Size()) {
		if o.Dtype == kernels.Float32 {
			le.PutUint32(raw[4*i:], math.Float32bits(value(i, math.Float32frombits(le.Uint32(raw[4*i:])))))
		} else {
			was := math.Float32frombits(uint32(le.Uint16(raw[2*i:])) << 16)
			le.PutUint16(raw[2*i:], uint16(math.Float32bits(value(i, was))>>16))
		}
	}
	if err := exec.Upload(device, o, raw); err != nil {
		t.Fatal(err)
	}
}

// batches are two rows of several examples, padded, with tokens that are not trained.
func batches() []data.Batch {
	var es []data.Example
	for n := range 9 {
		e := data.Example{IDs: make([]int32, 5+3*n%11), Weights: make([]float32, 5+3*n%11)}
		for i := range e.IDs {
			e.IDs[i] = int32(60 + (7*n+i)%40)
			if i > 1+n%3 {
				e.Weights[i] = 1
			}
		}
		es = append(es, e)
	}
	return pack.Pack(es, 64, pack.Options{Seed: 3})
}

// held is batches to be judged.
func held(yield func(data.Batch, error) bool) {
	for _, b := range batches() {
		if !yield(b, nil) {
			return
		}
	}
}

// Where nothing is wrong nothing is found, whatever is padded, dropped or computed twice, and the gradients are the step's.
func TestFindNonFiniteFindsNothing(t *testing.T) {
	for _, dtype := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		for _, lora := range []bool{true, false} {
			for _, layers := range []int{0, 6} {
				s, device, grads, zero := trainable(t, dtype, lora, layers)
				gradients := func(take func() error) (all []byte) {
					zero()
					if err := take(); err != nil {
						t.Fatalf("%v, LoRA %t, %d layers recomputed: %v", dtype, lora, layers, err)
					}
					for _, p := range s.Params() {
						if p.Trained {
							raw, err := exec.Download(device, grads[p.Name])
							if err != nil {
								t.Fatal(err)
							}
							all = append(all, raw...)
						}
					}
					return all
				}
				rows := batches()
				want := gradients(func() error {
					for _, b := range rows {
						if _, err := s.Accumulate(t.Context(), b); err != nil {
							return err
						}
					}
					return nil
				})
				if got := gradients(func() error { return s.FindNonFinite(t.Context(), rows) }); !bytes.Equal(got, want) {
					t.Errorf("%v, LoRA %t, %d layers recomputed: other gradients than the step's", dtype, lora, layers)
				}
			}
		}
	}
}

// What was broken is named: a weight of layer 1 that holds an infinity, weights too large, and those that overflow on the way
// back alone.
func TestFindNonFinite(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, dtype := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		for _, c := range []struct {
			name   string
			change func(s *session.Session, d *session.Device)
			says   string
			sound  func(*exec.NonFiniteError) bool
		}{
			{"an infinity in a weight", func(s *session.Session, d *session.Device) {
				set(t, s, d, "model.layers.1.mlp.up_proj.weight", func(i int, was float32) float32 {
					if i == 77 {
						return inf
					}
					return was
				})
			}, "linear model.layers.1.mlp.up_proj.weight (layer 1): model.layers.1.mlp.up_proj.weight itself is +Inf at element 77 (1 such in all)",
				func(e *exec.NonFiniteError) bool { return !e.Step.Backward }},
			{"an overflow", func(s *session.Session, d *session.Device) {
				set(t, s, d, "model.layers.1.self_attn.v_proj.weight", func(int, float32) float32 { return 3e38 })
			}, "linear model.layers.1.self_attn.v_proj.weight (layer 1): output 0 is ",
				func(e *exec.NonFiniteError) bool { return !e.Step.Backward && e.Bound == "" }},
			{"on the way back alone", func(s *session.Session, d *session.Device) { // up is 0, so what down multiplies is
				set(t, s, d, "model.layers.4.mlp.up_proj.weight", func(int, float32) float32 { return 0 })
				set(t, s, d, "model.layers.4.mlp.down_proj.weight", func(int, float32) float32 { return 3e38 })
				set(t, s, d, "model.norm.weight", func(int, float32) float32 { return 1e3 })
			}, "linear_bwd model.layers.4.mlp.down_proj.weight (layer 4): output ",
				func(e *exec.NonFiniteError) bool { return e.Step.Backward && e.Bound == "" }},
		} {
			for _, layers := range []int{0, 6} {
				what := fmt.Sprintf("%v, %s, %d layers recomputed", dtype, c.name, layers)
				s, device, _, _ := trainable(t, dtype, false, layers)
				c.change(s, device)
				err := s.FindNonFinite(t.Context(), batches())
				var bad *exec.NonFiniteError
				if !errors.As(err, &bad) {
					t.Fatalf("%s: got %v", what, err)
				}
				if !strings.Contains(err.Error(), c.says) || !c.sound(bad) {
					t.Errorf("%s: got %v (%+v)", what, err, bad)
				}
				var judged *exec.NonFiniteError
				if err := s.FindNonFiniteLoss(t.Context(), held); errors.As(err, &judged) == bad.Step.Backward || err != nil && judged == nil {
					t.Errorf("%s: judged, %v", what, err)
				} else if judged != nil && (judged.Step.Weight != bad.Step.Weight || judged.Bound != bad.Bound) {
					t.Errorf("%s: judged, %v; trained, %v", what, judged, bad)
				}
				if _, err := s.Accumulate(t.Context(), batches()[0]); err != nil {
					t.Errorf("%s: still looked for: %v", what, err)
				}
			}
		}
	}
}

// A tensor of several parts is looked at to its end.
func TestFindNonFiniteInLargeTensors(t *testing.T) {
	const head, at = "lm_head.weight", 800 << 10 // in bytes: 3.1 MiB of 4
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.New(disk.OS(), dir, model.NewOptions{HiddenSize: 1024, IntermediateSize: 16, NumHiddenLayers: 1, VocabSize: 1024, Untied: true, Dtype: kernels.Float16}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	device, err := session.OpenDevice("cpu", 2)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.New(session.Options{Device: device, Model: m, Dtype: kernels.Float32})
	if err != nil {
		t.Fatal(err)
	}
	for _, free := range []func() error{m.Close, device.Close, s.Close} {
		atEnd(t, free)
	}
	if err := s.Place(); err != nil {
		t.Fatal(err)
	}
	set(t, s, device, head, func(i int, was float32) float32 {
		if i == at || i == at+300 {
			return float32(math.Inf(-1))
		}
		return was
	})
	err = s.FindNonFiniteLoss(t.Context(), held)
	var bad *exec.NonFiniteError
	if !errors.As(err, &bad) || bad.Bound != head || bad.Index != at || bad.Count != 2 || !math.IsInf(bad.Value, -1) {
		t.Errorf("got %v", err)
	}
}
