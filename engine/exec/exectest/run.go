package exectest

import (
	"context"

	"attune/engine/exec"

	G "gorgonia.org/gorgonia"
)

// Bound is a model's inputs in buffers of a backend.
type Bound struct {
	backend  exec.Backend
	operands map[string]exec.Operand
}

// Bind uploads the model's inputs as the program stores them, and zeros for what it accumulates into, and binds all to
// the runner.
func Bind(b exec.Backend, m *Model, r *exec.Runner) (*Bound, error) {
	bound := &Bound{backend: b, operands: map[string]exec.Operand{}}
	for _, in := range r.Program().Inputs() {
		buf, err := b.Alloc(in.Bytes())
		if err != nil {
			return nil, err
		}
		o := exec.Operand{Buf: buf, Dtype: in.Dtype, Shape: in.Shape}
		if v, ok := m.Values[in.Name]; ok {
			if err := exec.Upload(b, o, v.Bytes(in.Dtype)); err != nil {
				return nil, err
			}
		}
		if err := r.Bind(in.Name, o); err != nil {
			return nil, err
		}
		bound.operands[in.Name] = o
	}
	return bound, nil
}

// Read is a copy of an input's bytes.
func (b *Bound) Read(name string) ([]byte, error) { return exec.Download(b.backend, b.operands[name]) }

// Free frees all inputs.
func (b *Bound) Free() error {
	for _, o := range b.operands {
		if err := o.Buf.Free(); err != nil {
			return err
		}
	}
	return nil
}

// Run compiles the model, runs it once on b and gives the bytes of the loss and of every gradient. change, if not nil,
// sees the runner before the run.
func Run(b exec.Backend, m *Model, o exec.Options, change func(*exec.Runner)) ([][]byte, *exec.Program, error) {
	p, err := exec.Compile(append(G.Nodes{m.Loss}, m.Grads...), o)
	if err != nil {
		return nil, nil, err
	}
	arena, err := exec.NewArena(b, p)
	if err != nil {
		return nil, nil, err
	}
	r, err := exec.NewRunner(b, p, arena)
	if err != nil {
		return nil, nil, err
	}
	bound, err := Bind(b, m, r)
	if err != nil {
		return nil, nil, err
	}
	if change != nil {
		change(r)
	}
	if err := r.Run(context.Background()); err != nil {
		return nil, nil, err
	}
	var outs [][]byte
	for i := range p.Outputs() {
		data, err := exec.Download(b, r.Output(i))
		if err != nil {
			return nil, nil, err
		}
		outs = append(outs, data)
	}
	if err := bound.Free(); err != nil {
		return nil, nil, err
	}
	if err := r.Close(); err != nil {
		return nil, nil, err
	}
	return outs, p, arena.Free()
}
