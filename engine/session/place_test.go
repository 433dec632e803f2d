package session_test

import (
	"bytes"
	"path/filepath"
	"slices"
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

// opened is a session over a model with weights of dtype stored, not yet placed.
func opened(t *testing.T, stored, computed kernels.Dtype, trained func(string) bool, change func(*session.Options)) (*session.Session, *model.Checkpoint) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.New(disk.OS(), dir, model.NewOptions{HiddenSize: 48, NumHiddenLayers: 6, Untied: true, Dtype: stored, Seed: 5}); err != nil {
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
	o := session.Options{Device: device, Model: m, Dtype: computed, Trained: trained}
	if change != nil {
		change(&o)
	}
	s, err := session.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, free := range []func() error{m.Close, device.Close, s.Close} {
		atEnd(t, free)
	}
	return s, m
}

// atEnd frees something when the test is over, what came last first.
func atEnd(t *testing.T, free func() error) {
	t.Cleanup(func() {
		if err := free(); err != nil {
			t.Error(err)
		}
	})
}

// Every weight lies on the device with the values of the file, whether it is mapped, or converted beside others.
func TestPlaceConverts(t *testing.T) {
	all := func(string) bool { return true }
	for _, c := range []struct {
		stored, computed kernels.Dtype
		trained          func(string) bool
	}{
		{kernels.BFloat16, kernels.Float32, all}, {kernels.BFloat16, kernels.BFloat16, all}, {kernels.Float16, kernels.Float32, nil},
		{kernels.Float32, kernels.BFloat16, nil}, {kernels.Float32, kernels.Float32, nil}, {kernels.BFloat16, kernels.Float32, nil},
	} {
		s, m := opened(t, c.stored, c.computed, c.trained, nil)
		if err := s.Place(); err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Params() {
			o := s.Value(p.Name)
			if want := s.Storage(p); o.Dtype != want {
				t.Fatalf("%v as %v: %s has dtype %v, want %v", c.stored, c.computed, p.Name, o.Dtype, want)
			}
			w, err := m.Weight(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := w.As(o.Dtype)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Read(o)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v as %v: %s has other values than the file", c.stored, c.computed, p.Name)
			}
		}
	}
}

// ledger notes what is allocated on a device.
type ledger struct {
	exec.Backend
	all, largest int64
}

func (l *ledger) Alloc(n int64) (exec.Buffer, error) {
	l.all, l.largest = l.all+n, max(l.largest, n)
	return l.Backend.Alloc(n)
}

// What a decoder and a loss are said to take is what they take, to the byte.
func TestBytesAreWhatIsAllocated(t *testing.T) {
	for _, dtype := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		l := &ledger{}
		s, _ := opened(t, kernels.Float32, dtype, nil, func(o *session.Options) { l.Backend, o.Device.Backend = o.Device.Backend, l })
		if err := s.Place(); err != nil {
			t.Fatal(err)
		}
		judge, err := s.JudgingPlan(128)
		if err != nil {
			t.Fatal(err)
		}
		decode, err := s.DecoderPlan(3000, 40)
		if err != nil {
			t.Fatal(err)
		}
		judging, arena, cache := judge.Arena, decode.Arena, int64(0)
		for _, n := range decode.Cache {
			cache += n
		}
		if l.all, l.largest = 0, 0; judging == 0 || cache != 2*6*48*3000*dtype.Size() { // keys and values of six layers
			t.Errorf("%v: judging takes %d bytes, a cache %d", dtype, judging, cache)
		}
		d, err := s.NewDecoder(3000)
		if err != nil {
			t.Fatal(err)
		}
		if l.all != cache {
			t.Errorf("%v: the cache takes %d bytes, said to be %d", dtype, l.all, cache)
		}
		l.largest = 0
		for _, prompt := range [][]int32{make([]int32, 40), {7}} {
			if _, err := d.Feed(prompt); err != nil {
				t.Fatal(err)
			}
		}
		if l.largest != arena {
			t.Errorf("%v: decoding takes an arena of %d bytes, said to be %d", dtype, l.largest, arena)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		e := data.Example{IDs: make([]int32, 100), Weights: make([]float32, 100)}
		e.Weights[50] = 1
		l.largest = 0
		if _, err := s.Loss(t.Context(), pack.EvalRow([]data.Example{e}, pack.Options{})); err != nil {
			t.Fatal(err)
		}
		if judging > arena && l.largest != judging {
			t.Errorf("%v: judging takes an arena of %d bytes, said to be %d", dtype, l.largest, judging)
		}
	}
}

// Dropout is of training alone: a loss and a text are those of the same adapter without it, to the bit.
func TestNothingIsDroppedButInTraining(t *testing.T) {
	e := data.Example{IDs: []int32{70, 71, 72, 73, 74, 75}, Weights: []float32{0, 1, 1, 1, 1, 1}}
	batch := pack.EvalRow([]data.Example{e}, pack.Options{})
	var losses [2]float64
	var logits [2][]float32
	for i, dropout := range []float64{0, 0.5} {
		var device *session.Device
		s, _ := opened(t, kernels.Float32, kernels.Float32, nil, func(o *session.Options) {
			device = o.Device
			o.Adapter = func(string, int, int) *nn.LoRA { return &nn.LoRA{Rank: 2, Scale: 1, Dropout: dropout} }
		})
		if err := s.Place(); err != nil {
			t.Fatal(err)
		}
		if err := s.LoadAdapter(func(p nn.Param) ([]byte, error) {
			v := make([]float32, p.Shape[0]*p.Shape[1])
			for k := range v {
				v[k] = float32(k%7-3) / 10
			}
			return session.Float32Bytes(v), nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.BindGradients(func(name string) (exec.Operand, error) {
			g := s.Value(name)
			var err error
			if g.Buf, err = device.Alloc(g.Bytes()); err == nil {
				atEnd(t, g.Buf.Free)
			}
			return g, err
		}); err != nil {
			t.Fatal(err)
		}
		var err error
		if losses[i], err = s.Loss(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		d, err := s.NewDecoder(8)
		if err != nil {
			t.Fatal(err)
		}
		logits[i] = feed(t, d, e.IDs...)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if loss, err := s.Accumulate(t.Context(), batch); err != nil || (loss == losses[i]) != (dropout == 0) {
			t.Errorf("dropout %g: trained with the loss %g, judged with %g (%v)", dropout, loss, losses[i], err)
		}
	}
	if losses[0] != losses[1] || !slices.Equal(logits[0], logits[1]) {
		t.Errorf("judged with dropout the loss is %g, without %g", losses[1], losses[0])
	}
}
