package session

import (
	"errors"
	"fmt"
	"runtime"

	"attune/engine/exec"
	"attune/engine/model"
	"attune/engine/nn"
	"attune/internal/safetensors"
	"attune/kernels"

	"golang.org/x/sync/errgroup"
)

// Place binds the model's weights to the device: mapped where they lie if they have the dtype of Storage, converted
// otherwise. Adapters are zero until LoadAdapter.
func (s *Session) Place() error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0)) // converting is bound by memory that is touched for the first time
	for _, p := range s.params {
		o, fill, err := s.place(p)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		s.values[p.Name] = o
		if fill != nil {
			g.Go(fill)
		}
	}
	return g.Wait()
}

// Storage is the dtype of a weight on the device. Where the device reads frozen weights in the mapped file, bfloat16 ones
// stay there under float32 too: kernels widen them at use, which is exact, and a copy would be three times the memory.
func (s *Session) Storage(p nn.Param) kernels.Dtype {
	if p.Trained || p.Kind == nn.Adapter {
		return kernels.Float32
	}
	if s.o.Device.Wrap != nil && s.o.Dtype == kernels.Float32 && s.o.Model.Dtype(p.Name) == kernels.BFloat16 {
		return kernels.BFloat16
	}
	return s.o.Dtype
}

// place gives one weight its memory, and what is left to be done for its value.
func (s *Session) place(p nn.Param) (o exec.Operand, fill func() error, err error) {
	o = exec.Operand{Dtype: s.Storage(p), Shape: p.Shape}
	var w model.Weight
	if p.Kind == nn.Base {
		if w, err = s.o.Model.Weight(p.Name); err != nil {
			return o, nil, err
		}
		if w.Dtype == o.Dtype && !p.Trained && s.o.Device.Wrap != nil {
			o.Buf = s.o.Device.Wrap(w.Data, o.Dtype)
			return o, nil, nil
		}
	}
	if o.Buf, err = s.o.Device.Alloc(o.Bytes()); err != nil {
		return o, nil, fmt.Errorf("place %s: %w", p.Name, err)
	}
	s.owned = append(s.owned, o.Buf)
	switch {
	case p.Kind == nn.Adapter:
		return o, nil, nil
	case s.o.Device.Bytes != nil:
		return o, func() error {
			defer s.o.Model.Release(p.Name)
			return w.Convert(o.Dtype, s.o.Device.Bytes(o))
		}, nil
	}
	return o, func() error {
		defer s.o.Model.Release(p.Name)
		raw, err := w.As(o.Dtype)
		if err != nil {
			return err
		}
		return exec.Upload(s.o.Device, o, raw)
	}, nil
}

// Trained is every trained weight, float32, for checkpoints and adapters; see Read for how long it is valid.
func (s *Session) Trained() ([]safetensors.Tensor, error) {
	var ts []safetensors.Tensor
	for _, p := range s.params {
		if !p.Trained {
			continue
		}
		raw, err := s.Read(s.values[p.Name])
		if err != nil {
			return nil, fmt.Errorf("download %s: %w", p.Name, err)
		}
		ts = append(ts, safetensors.Tensor{Name: p.Name, Dtype: "F32", Shape: p.Shape, Data: raw})
	}
	return ts, nil
}

// LoadTrained sets every trained weight; get gives the float32 bytes of one.
func (s *Session) LoadTrained(get func(name string, shape []int) ([]byte, error)) error {
	for _, p := range s.params {
		if !p.Trained {
			continue
		}
		raw, err := get(p.Name, p.Shape)
		if err != nil {
			return err
		}
		if err := exec.Upload(s.o.Device, s.values[p.Name], raw); err != nil {
			return fmt.Errorf("load %s: %w", p.Name, err)
		}
	}
	return nil
}

// LoadAdapter sets every adapter weight; get gives the values of one.
func (s *Session) LoadAdapter(get func(p nn.Param) ([]byte, error)) error {
	for _, p := range s.params {
		if p.Kind != nn.Adapter {
			continue
		}
		raw, err := get(p)
		if err != nil {
			return err
		}
		if err := exec.Upload(s.o.Device, s.values[p.Name], raw); err != nil {
			return fmt.Errorf("load %s: %w", p.Name, err)
		}
	}
	return nil
}
