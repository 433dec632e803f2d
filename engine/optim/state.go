package optim

import (
	"fmt"

	"attune/engine/exec"
)

// suffixes of the moments, in the order they are saved: torch's names of them.
var moments = [...]string{".exp_avg", ".exp_avg_sq"}

// State are the moments, float32, in the order they are saved: the parameter's name with .exp_avg or .exp_avg_sq behind it,
// and where the tensor lies. The number of updates is saved by the caller.
func (a *AdamW) State() []Param {
	state := make([]Param, 0, len(moments)*len(a.params))
	for i, p := range a.params {
		for j, buf := range []exec.Buffer{a.exp, a.expSq} {
			state = append(state, Param{Name: p.Name + moments[j], Value: a.tensor(buf, i)})
		}
	}
	return state
}

// Load sets the state to that after a number of updates; get gives the bytes of a tensor of State.
// After an error the state is part old and part new, and must not be used.
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
