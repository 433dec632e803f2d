package cuda

import (
	"errors"
	"fmt"

	"attune/kernels"
)

// Call is a kernel and its operands: one of those that PlanAll joins.
type Call struct {
	Kernel  kernels.Kernel
	In, Out []View
}

// ScratchAll is the device memory in bytes that PlanAll needs for calls, or 0 where they are not to be joined and each is a
// Plan of its own: sumsq and adamw are joined, and all calls must be of one of them. Addresses are not looked at.
func ScratchAll(t Target, calls []Call) int64 {
	b := batch{planner: planner{target: t}}
	if err := b.plan(calls); err != nil {
		return 0
	}
	return b.need
}

// PlanAll is the list of steps that does all calls in one launch or two, to the bits that Plan's steps of each would give.
// The calls are independent of each other (exec.Batcher). memory has at least as many bytes as ScratchAll says. table
// must lie at its beginning whenever the steps run: the executor uploads it once, and as long as memory and the operands
// stay where they are, and no other use is made of memory, the same table and steps serve again. What changes from step to
// step is read on the device (kernels.AdamW's hyper), so the steps may also be recorded.
func PlanAll(t Target, calls []Call, memory View) (steps []Step, table []byte, err error) {
	b := batch{planner: planner{target: t, base: memory.Ptr}}
	if err := b.plan(calls); err != nil {
		return nil, nil, fmt.Errorf("%d calls together: %w", len(calls), err)
	}
	if b.need > memory.Bytes() {
		return nil, nil, fmt.Errorf("%d calls of %s together: %d bytes of memory, needs %d", len(calls), calls[0].Kernel.Name(), memory.Bytes(), b.need)
	}
	return b.steps, b.table, nil
}

// batch collects the entries of a table: the argument structs of the single launches, which name their first block.
type batch struct {
	planner
	table []byte
}

// blockElems is how many elements of a tensor a block of threads takes where tensors are joined, and where they are not.
const blockElems = 16 << 10

func (b *batch) plan(calls []Call) error {
	if len(calls) == 0 {
		return errors.New("no calls")
	}
	name := calls[0].Kernel.Name()
	for _, c := range calls {
		if c.Kernel.Name() != name {
			return fmt.Errorf("%s and %s", name, c.Kernel.Name())
		}
		if err := check(c.Kernel, c.In, c.Out); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	switch name {
	case "adamw":
		b.adamW(calls)
	case "sumsq":
		b.sumSq(calls)
	default:
		return fmt.Errorf("%s is not joined", name)
	}
	return b.err
}

// reserve makes the first part of memory the place of a table of n entries of so many bytes.
func (b *batch) reserve(n, size int) Ptr { return b.scratch(kernels.Float32, n*size/4).Ptr }

func (b *batch) adamW(calls []Call) {
	all := adamWArgs{All: b.reserve(len(calls), len(argBytes(adamWArgs{})))}
	var first int64
	for _, c := range calls {
		a := newAdamWArgs(c.Kernel.(kernels.AdamW), c.In, c.Out)
		a.First = first
		first += int64(blocks(int(a.N), blockElems))
		b.table = append(b.table, argBytes(a)...)
		all.Count++
	}
	launch(&b.planner, "adamw", 256, 16, all, int(first))
}

func (b *batch) sumSq(calls []Call) {
	all := sumSqArgs{All: b.reserve(len(calls), len(argBytes(sumSqArgs{})))}
	var first int64
	for _, c := range calls {
		if !c.Out[0].Wanted() {
			continue
		}
		a := newSumSqArgs(&b.planner, c.In[0], c.Out[0])
		a.First = first
		first += int64(blocks(int(a.N), blockElems))
		b.table = append(b.table, argBytes(a)...)
		all.Count++
	}
	if all.Count > 0 {
		launchSumSq(&b.planner, all, int(first))
	}
}
