package op

// Examples is what the suite of engine/op/optest runs an operation on. Each operation's are at the end of its file.
type Examples struct {
	Cases   []Case
	Refused []Refusal
}

// Case is one operation with attributes and inputs. Its gradients are checked for every input that is differentiable and
// not Frozen; its backward kernels are checked on what these gradients need.
type Case struct {
	Name string
	Spec Spec
	In   []Operand
}

// Refusal is what Infer must not accept; Error is part of its message, with the values that do not fit.
type Refusal struct {
	Spec  Spec
	In    []Operand
	Error string
}

// Operand is an example input.
type Operand struct {
	Shape  []int
	Ints   []int32                 // the values of an int32 input; nil for a floating-point one
	Values []float64               // the values of a floating-point input; nil for random ones
	Fill   func(u float64) float64 // makes values of numbers uniform in [-1,1); nil = as they are
	Stat   bool                    // stored in float32 whatever the precision policy: LoRA's A and B, weights of targets
	Weight bool                    // a weight: also tried stored in float32 under bfloat16 activations
	Frozen bool                    // not trained: no gradient is asked for
	Pad    func(row int) bool      // rows (first dimension) that are padding: their content must not matter
}

// floats is a floating-point input stored as activations are.
func floats(dims ...int) Operand { return Operand{Shape: dims} }

// params is a weight.
func params(dims ...int) Operand { return Operand{Shape: dims, Weight: true} }

// stats is a floating-point input stored in float32 always.
func stats(dims ...int) Operand { return Operand{Shape: dims, Stat: true} }

// ints is an int32 vector.
func ints(v ...int32) Operand { return Operand{Shape: []int{len(v)}, Ints: v} }

// cycle is n int32 values below mod, in no particular order.
func cycle(n, mod int) Operand {
	v := make([]int32, n)
	for i := range v {
		v[i] = int32((i*7 + i*i*3) % mod)
	}
	return ints(v...)
}

// runs is a row of segments of the given lengths, numbered from 0; a negative length is padding.
func runs(lengths ...int) Operand {
	var v []int32
	for s, n := range lengths {
		id := int32(s)
		if n < 0 {
			id, n = -1, -n
		}
		for range n {
			v = append(v, id)
		}
	}
	return ints(v...)
}

func (o Operand) frozen() Operand { o.Frozen = true; return o }

func (o Operand) fill(f func(u float64) float64) Operand { o.Fill = f; return o }

// pad marks the rows at which marker is negative.
func (o Operand) pad(marker Operand) Operand {
	o.Pad = func(row int) bool { return marker.Ints[row] < 0 }
	return o
}

// oddSizes are lengths that no block, tile or vector divides.
func oddSizes() []int { return []int{1, 3, 5, 17, 33, 65, 127} }
