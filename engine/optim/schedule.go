package optim

import (
	"fmt"
	"math"
	"slices"
)

// Names of the schedules, as transformers spells lr_scheduler_type.
const (
	Constant = "constant"
	Linear   = "linear"
	Cosine   = "cosine"
)

// Schedules are the names there are.
func Schedules() []string { return []string{Constant, Linear, Cosine} }

// Schedule is the learning rate over the steps of a run. With w warm-up steps of n, step s (from 0) has lr·(s+1)/w for
// s < w; behind that, with t = (s-w)/(n-w),
//
//	constant  lr
//	linear    lr·(1-t)
//	cosine    lr·(1+cos πt)/2
//
// Steps at and beyond n have the rate of t = 1.
type Schedule struct {
	Name         string
	LearningRate float64
	Warmup       int // w
	Steps        int // n
}

// WarmupSteps is the number of warm-up steps for a share of all steps, rounded up as transformers does.
func WarmupSteps(ratio float64, steps int) int { return int(math.Ceil(ratio * float64(steps))) }

// Validate says what is wrong with the schedule, or nil.
func (s Schedule) Validate() error {
	switch {
	case !slices.Contains(Schedules(), s.Name):
		return fmt.Errorf("schedule %q: there are %q", s.Name, Schedules())
	case !(s.LearningRate >= 0) || math.IsInf(s.LearningRate, 0):
		return fmt.Errorf("schedule: learning rate %g; it must be a number from 0 up", s.LearningRate)
	case s.Steps < 1:
		return fmt.Errorf("schedule: %d steps; at least 1 is needed", s.Steps)
	case s.Warmup < 0 || s.Warmup > s.Steps:
		return fmt.Errorf("schedule: %d warm-up steps of %d; from 0 to all are possible", s.Warmup, s.Steps)
	}
	return nil
}

// LR is the learning rate of a step, counted from 0.
func (s Schedule) LR(step int) float64 {
	if step < s.Warmup {
		return s.LearningRate * float64(step+1) / float64(s.Warmup)
	}
	t := min(float64(step-s.Warmup)/float64(max(1, s.Steps-s.Warmup)), 1)
	switch s.Name {
	case Linear:
		return s.LearningRate * (1 - t)
	case Cosine:
		return s.LearningRate * 0.5 * (1 + math.Cos(math.Pi*t))
	}
	return s.LearningRate
}
