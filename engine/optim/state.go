package optim

import (
	"fmt"

	"attune/engine/exec"
)

// Tensor is one tensor of the state on its way to or from a checkpoint, float32 little-endian.
type Tensor struct {
	Name  string // the parameter's name with .exp_avg or .exp_avg_sq behind it, torch's names of the moments
	Shape []int
	Data  []byte
}

// suffixes of the moments, in the order they are saved.
var moments = [...]string{".exp_avg", ".exp_avg_sq"}

// Save gives every tensor of the state to put, one after the other, with the bytes that read gives. The
// number of updates is saved by the caller.
func (a *AdamW) Save(read func(exec.Operand) ([]byte, error), put func(Tensor) error) error {
	for i, p := range a.params {
		for j, buf := range []exec.Buffer{a.exp, a.expSq} {
			data, err := read(a.tensor(buf, i))
			if err == nil {
				err = put(Tensor{Name: p.Name + moments[j], Shape: p.Value.Shape, Data: data})
			}
			if err != nil {
				return fmt.Errorf("save the optimizer's %s: %w", p.Name+moments[j], err)
			}
		}
	}
	return nil
}

// Load sets the state to that after a number of updates; get gives the bytes of a tensor that Save had, of the same
// shape. After an error the state is part old and part new, and must not be used.
func (a *AdamW) Load(updates int, get func(name string, shape []int) ([]byte, error)) error {
	if updates < 0 {
		return fmt.Errorf("load the optimizer: %d updates", updates)
	}
	for i, p := range a.params {
		for j, buf := range []exec.Buffer{a.exp, a.expSq} {
			data, err := get(p.Name+moments[j], p.Value.Shape)
			if err == nil {
				err = exec.Upload(a.backend, a.tensor(buf, i), data)
			}
			if err != nil {
				return fmt.Errorf("load the optimizer's %s: %w", p.Name+moments[j], err)
			}
		}
	}
	a.updates = updates
	return nil
}
