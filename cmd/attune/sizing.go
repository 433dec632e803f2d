package main

import (
	"errors"
	"fmt"
	"math"

	"attune/engine/exec"
	"attune/engine/session"
)

// compile plans the longest rows, with as little of them recomputed as fits the memory that is free. What takes more is an
// exec.ErrMemory where layers could be recomputed for it, and a plan of it where the run file says which are.
func (j *job) compile(free int64) (session.Plan, error) {
	j.session.SetLengths(j.rowTokens(), j.heldTokens())
	limit := free - j.memory(session.Plan{}, 0).training
	for {
		j.session.SetLimit(limit)
		plan, err := j.session.Plan(j.rowTokens(), j.heldTokens())
		if err != nil {
			return plan, err
		}
		over := j.memory(plan, 0).training - free
		if over <= 0 || j.cfg.Compute.Recompute != "auto" {
			return plan, nil
		}
		if limit = plan.Arena - over; limit < 0 { // inputs, recordings and rounding take memory, too
			return plan, fmt.Errorf("%w: the run takes %s with %d of %d layers recomputed, %s", exec.ErrMemory,
				mib(free+over), plan.Recomputed, plan.Layers, areFree(j.device, free))
		}
	}
}

// rowSizes are what compute.micro_batch_tokens: auto chooses from, to fill a device.
func rowSizes() []int { return []int{16384, 8192, 4096, 2048} }

// fills is whether compute.micro_batch_tokens is what the device holds.
func (j *job) fills() bool { return j.device.Discrete && j.cfg.Compute.MicroBatchTokens == 0 }

// fill chooses compute.micro_batch_tokens: auto for a device with memory of its own: the largest of rowSizes with which
// nothing has to be recomputed, none so large that half of it holds every step. Where none fits it is what it is on the
// processor. A run that goes on keeps what it had, as long as that can fit.
func (j *job) fill() error {
	if !j.fills() {
		return nil
	}
	free, err := memoryFree(j.device)
	if err != nil {
		return err
	}
	// fitting compiles rows of up to so many tokens.
	fitting := func(n int) (plan session.Plan, fits bool, err error) {
		j.pack(n)
		if plan, err = j.compile(free); errors.Is(err, exec.ErrMemory) {
			return plan, false, nil
		}
		return plan, j.memory(plan, 0).training <= free, err
	}
	if j.before > 0 {
		if _, fits, err := fitting(j.before); fits || err != nil {
			return err
		}
	}
	least, step := microTokens(j.cfg), j.data.Survey(math.MaxInt).Longest
	for i, n := range rowSizes() {
		if n < least {
			break
		}
		if i+1 < len(rowSizes()) && step <= max(least, rowSizes()[i+1]) {
			continue
		}
		plan, fits, err := fitting(n)
		if err != nil || fits && (plan.Recomputed == 0 || j.cfg.Compute.Recompute == "full") {
			return err
		}
	}
	j.pack(least)
	return nil
}
