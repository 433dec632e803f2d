//go:build gpu

package cuda

// #include "launch.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"attune/engine/exec"
	"attune/kernels"
	"attune/kernels/cuda"

	"gorgonia.org/cu"
)

// recording is an executable CUDA graph.
type recording struct {
	owner       *Backend
	graph       C.CUgraphExec
	first, last string // the first and the last of its launches
	nodes       int
	bytes       int64
}

// Record implements exec.Recorder: the stream captures what would be launched. Scratch and operands are named by address,
// so they must stay where they are.
func (b *Backend) Record(launches []exec.Launch) (exec.Recording, error) {
	var steps []cuda.Step
	for i := 0; i < len(launches); {
		sums := followed(launches[i:])
		more, err := b.plan(launches[i], sums...)
		if err != nil {
			return nil, fmt.Errorf("record launch %d of %d: %w", i+1, len(launches), err)
		}
		steps, i = append(steps, more...), i+1+len(sums)
	}
	r := &recording{owner: b}
	if n := len(launches); n > 0 {
		r.first, r.last = launches[0].Kernel.Name(), launches[n-1].Kernel.Name()
	}
	if err := b.do(func() error { return b.record(r, steps) }); err != nil {
		return nil, fmt.Errorf("record %d launches: %w", len(launches), err)
	}
	return r, nil
}

// followed are the launches right behind the first that accumulate outputs of the first in memory it has nothing to do with.
func followed(launches []exec.Launch) []exec.Launch {
	first := launches[0]
	place := func(o exec.Operand) func(exec.Operand) bool {
		return func(p exec.Operand) bool { return p.Buf == o.Buf && p.Off == o.Off }
	}
	n := 1
	for ; n < len(launches); n++ {
		l := launches[n]
		if l.Kernel.Name() != (kernels.Accumulate{}).Name() || !slices.ContainsFunc(first.Out, place(l.In[1])) ||
			slices.ContainsFunc(slices.Concat(first.In, first.Out), func(o exec.Operand) bool { return overlap(o, l.In[0]) }) {
			break
		}
	}
	return launches[1:n]
}

// overlap says whether two operands share bytes.
func overlap(a, b exec.Operand) bool {
	return a.Buf != nil && a.Buf == b.Buf && a.Off < b.Off+b.Bytes() && b.Off < a.Off+a.Bytes()
}

func (b *Backend) record(r *recording, steps []cuda.Step) error {
	before, _, err := cu.MemInfo()
	if err != nil {
		return b.blame(err)
	}
	// Relaxed: a library may load kernels at their first use, which is no part of the graph and need not end it.
	if err := result(C.cuStreamBeginCapture(streamOf(b.stream), C.CU_STREAM_CAPTURE_MODE_RELAXED)); err != nil {
		return b.unrecorded(err)
	}
	stepErr := b.run(steps)
	var nodes C.size_t
	err = result(C.attune_graph(streamOf(b.stream), &r.graph, &nodes))
	if stepErr != nil && err == nil {
		C.cuGraphExecDestroy(r.graph)
	}
	if err := cmp.Or(stepErr, err); err != nil {
		return b.unrecorded(err)
	}
	after, _, err := cu.MemInfo()
	if err != nil {
		C.cuGraphExecDestroy(r.graph)
		return b.blame(err)
	}
	r.nodes, r.bytes = int(nodes), max(before-after, 0)
	return nil
}

// unrecorded is the error of a recording that was not made.
func (b *Backend) unrecorded(err error) error {
	if slices.ContainsFunc(uncaptured, func(c error) bool { return errors.Is(err, c) }) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return b.noMemory("a recording", err)
}

// uncaptured are what the driver says of a call that no graph can hold.
var uncaptured = []error{
	cu.StreamCaptureUnsupported, cu.StreamCaptureInvalidated, cu.StreamCaptureMerge, cu.StreamCaptureUnmatched, cu.StreamCaptureUnjoined,
	cu.StreamCaptureIsolation, cu.StreamCaptureImplicit, cu.CapturedEvent, cu.StreamCaptureWrongThread, cu.NotSupported,
}

// Queue implements exec.Recording.
func (r *recording) Queue() error {
	b := r.owner
	return b.do(func() error {
		b.note(r.first)
		b.note(r.last)
		if err := result(C.cuGraphLaunch(r.graph, streamOf(b.stream))); err != nil {
			return b.blame(fmt.Errorf("launch a recording of %d kernels: %w", r.nodes, err))
		}
		return nil
	})
}

// Bytes implements exec.Recording: what the driver had less of after recording.
func (r *recording) Bytes() int64 { return r.bytes }

// Close implements exec.Recording.
func (r *recording) Close() error {
	b := r.owner
	return b.do(func() error {
		if r.graph == nil || b.broken != nil {
			return nil // what is broken goes with the context; its first failure was told
		}
		err := errors.Join(b.wait(), b.blame(result(C.cuGraphExecDestroy(r.graph))))
		r.graph = nil
		return err
	})
}

var _ exec.Recorder = (*Backend)(nil)
