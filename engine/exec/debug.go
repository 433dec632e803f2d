package exec

import (
	"encoding/binary"
	"fmt"
	"math"

	"attune/kernels"
)

// NonFiniteError names the step whose output first held a NaN or an infinity. Where one of the values bound to the
// program holds one already, a weight of a broken file as a rule, that is what is named.
type NonFiniteError struct {
	Step   Step
	Output int     // of the step
	Bound  string  // the bound value that was not finite before the step, "" = the step made it of finite ones
	Index  int     // flat, in the output or the bound value
	Value  float64 // NaN or ±Inf
	Count  int     // how many there are
}

// Error implements error.
func (e *NonFiniteError) Error() string {
	elements := fmt.Sprintf("is %g at element %d (%d such in all)", e.Value, e.Index, e.Count)
	if e.Bound != "" {
		return fmt.Sprintf("%v: %s itself %s", e.Step, e.Bound, elements)
	}
	return fmt.Sprintf("%v: output %d %s, of finite inputs", e.Step, e.Output, elements)
}

func (r *Runner) checkFinite(i int) error {
	s := &r.program.steps[i]
	for j, o := range r.launches[i].Out {
		index, value, count, err := r.nonFinite(o)
		if err != nil {
			return fmt.Errorf("check %v: %w", s.Step, err)
		}
		if count == 0 {
			continue
		}
		bad := &NonFiniteError{Step: s.Step, Output: j, Index: index, Value: value, Count: count}
		for k, v := range s.in {
			x := r.program.values[v]
			if x.kind != isInput || r.program.inputs[x.index].Written { // of one that is added to, the old values are gone
				continue
			}
			index, value, count, err := r.nonFinite(r.launches[i].In[k])
			if err != nil {
				return fmt.Errorf("check %v: %w", s.Step, err)
			}
			if count > 0 {
				bad.Bound, bad.Index, bad.Value, bad.Count = r.program.inputs[x.index].Name, index, value, count
				break
			}
		}
		return bad
	}
	return nil
}

// checked is how many bytes are looked at at once: a tensor may be larger than what memory is left.
const checked = 1 << 20

// nonFinite reads an operand and finds the first NaN or infinity, and how many there are.
func (r *Runner) nonFinite(o Operand) (index int, value float64, count int, err error) {
	if o.Buf == nil || o.Dtype != kernels.Float32 && o.Dtype != kernels.BFloat16 {
		return 0, 0, 0, nil
	}
	data := make([]byte, min(o.Bytes(), checked))
	for at := int64(0); at < o.Bytes(); at += checked {
		part := data[:min(o.Bytes()-at, checked)]
		if err := r.backend.Download(part, o.Buf, o.Off+at); err != nil {
			return 0, 0, 0, err
		}
		i, v, n := nonFinite(part, o.Dtype)
		if count == 0 && n > 0 {
			index, value = int(at/o.Dtype.Size())+i, v
		}
		count += n
	}
	return index, value, count, nil
}

// nonFinite finds the first NaN or infinity, and how many there are.
func nonFinite(data []byte, d kernels.Dtype) (index int, value float64, count int) {
	size := int(d.Size())
	for at := 0; at < len(data); at += size {
		f := float64(math.Float32frombits(bits(data[at:], d)))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			if count == 0 {
				index, value = at/size, f
			}
			count++
		}
	}
	return index, value, count
}

// bits are those of the float32 that the first element is.
func bits(data []byte, d kernels.Dtype) uint32 {
	if d == kernels.BFloat16 {
		return uint32(binary.LittleEndian.Uint16(data)) << 16
	}
	return binary.LittleEndian.Uint32(data)
}

// poison fills a range of the arena with bytes that are NaN as float32 and as bfloat16, and -1 as int32. A step that
// reads what it should not then shows in the results. Runs do it in builds with the tag invariants: before the first step, and
// behind every one that is not recorded.
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
