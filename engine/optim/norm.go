package optim

import (
	"encoding/binary"
	"fmt"
	"math"

	"attune/engine/exec"
)

// Norm is how long the gradient is that the parameters were not changed by yet.
type Norm struct {
	Global  float64   // the 2-norm of all gradients together
	Squares []float64 // the sum of squares of each parameter's, in their order, a float32 of the device
}

// Finite says whether every sum is a finite number. Squares may exceed float32 where the gradient itself does not.
func (n Norm) Finite() bool { return !math.IsNaN(n.Global) && !math.IsInf(n.Global, 0) }

// Norm measures the gradients: float32 sums of squares of each tensor, made where they lie and read in one small
// download, added in float64 in the order of the parameters. It waits for everything that was queued.
func (a *AdamW) Norm() (Norm, error) {
	if err := exec.LaunchAll(a.backend, a.norms); err != nil {
		return Norm{}, fmt.Errorf("norm of the gradients: %w", err)
	}
	sums := make([]byte, a.sums.Bytes())
	if err := a.backend.Download(sums, a.sums, 0); err != nil {
		return Norm{}, fmt.Errorf("norm of the gradients: %w", err)
	}
	n := Norm{Squares: make([]float64, len(a.params))}
	var total float64
	for i := range n.Squares {
		n.Squares[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(sums[i*exec.Align:])))
		total += n.Squares[i]
	}
	n.Global = math.Sqrt(total)
	return n, nil
}

// Largest is the parameter whose gradient has the largest sum of squares, and that sum; the first that is NaN before all.
func (a *AdamW) Largest(n Norm) (name string, squares float64) {
	most := 0
	for i, s := range n.Squares {
		if math.IsNaN(s) {
			most = i
			break
		}
		if s > n.Squares[most] {
			most = i
		}
	}
	return a.params[most].Name, n.Squares[most]
}
