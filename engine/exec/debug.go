package exec

import (
	"encoding/binary"
	"fmt"
	"math"

	"attune/kernels"
)

// NonFiniteError names the step whose output first held a NaN or an infinity.
type NonFiniteError struct {
	Step   Step
	Output int     // of the step
	Index  int     // flat, in the output
	Value  float64 // NaN or ±Inf
	Count  int     // how many there are in the output
}

// Error implements error.
func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("%v: output %d is %g at element %d (%d such elements): its inputs were finite still; lower the learning rate, or look at this layer's weights",
		e.Step, e.Output, e.Value, e.Index, e.Count)
}

func (r *Runner) checkFinite(i int) error {
	for j, o := range r.launches[i].Out {
		if o.Buf == nil || o.Dtype == kernels.Int32 {
			continue
		}
		data, err := Download(r.backend, o)
		if err != nil {
			return fmt.Errorf("check %v: %w", r.program.steps[i].Step, err)
		}
		if index, value, count := nonFinite(data, o.Dtype); count > 0 {
			return &NonFiniteError{Step: r.program.steps[i].Step, Output: j, Index: index, Value: value, Count: count}
		}
	}
	return nil
}

// nonFinite finds the first NaN or infinity, and how many there are.
func nonFinite(data []byte, d kernels.Dtype) (index int, value float64, count int) {
	size := int(d.Size())
	for at := 0; at+size <= len(data); at += size {
		var f float64
		switch d {
		case kernels.Float32:
			f = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[at:])))
		case kernels.BFloat16:
			f = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[at:])) << 16))
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			if count == 0 {
				index, value = at/size, f
			}
			count++
		}
	}
	return index, value, count
}

// poison fills a range of the arena with bytes that are NaN as float32 and as bfloat16, and -1 as int32. A step that
// reads what it should not then shows in the results. Runs do it in builds with the tag invariants.
func (r *Runner) poison(off, n int64) error {
	bytes := make([]byte, min(n, 1<<20))
	for i := range bytes {
		bytes[i] = 0xff
	}
	for n > 0 {
		m := min(n, int64(len(bytes)))
		if err := r.backend.Upload(r.arena, off, bytes[:m]); err != nil {
			return fmt.Errorf("poison the arena: %w", err)
		}
		off, n = off+m, n-m
	}
	return nil
}

// poisonDead poisons everything whose life ends with step i.
func (r *Runner) poisonDead(i int) error {
	for _, a := range r.program.allocs {
		if a.last == i {
			if err := r.poison(a.off, a.size); err != nil {
				return err
			}
		}
	}
	return nil
}
