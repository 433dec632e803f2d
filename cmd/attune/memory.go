package main

import (
	"errors"
	"math"
	"runtime"
	"runtime/debug"

	"attune/engine/exec"
	"attune/engine/nn"
	"attune/engine/session"
	"attune/engine/train"
)

// fixed is the memory that a run takes whatever its rows are, in bytes.
type fixed struct {
	Weights   int64 `json:"weights"`
	Trained   int64 `json:"trained_weights"`
	Gradients int64 `json:"gradients"`
	Optimizer int64 `json:"optimizer"`
	Snapshot  int64 `json:"snapshot"` // the copy of a state from which a checkpoint is written; 0 = there is none
	Kernels   int64 `json:"kernels"`  // packing buffers of the device
	Program   int64 `json:"program"`  // the process itself: code, rows, tokenizer, compiled programs, garbage
}

func (f fixed) total() int64 {
	return f.Weights + f.Trained + f.Gradients + f.Optimizer + f.Snapshot + f.Kernels + f.Program
}

// memoryReport is the peak memory of the process, in bytes.
type memoryReport struct {
	fixed
	Activations int64 `json:"activations"`
	Reading     int64 `json:"reading"` // at most so much while the rows were read, before the others
	Total       int64 `json:"total"`
	Free        int64 `json:"free,omitempty"` // 0 = the system does not say
}

// add makes the total: reading the rows is over before the weights come.
func (m *memoryReport) add(reading int64) {
	m.Reading = reading
	m.Total = max(reading, m.fixed.total()+m.Activations)
}

// Of the process itself.
const (
	code         = 20 << 20 // pages of the program's file that a run touches
	garbage      = 8 << 20  // at most so much is left lying before it is collected
	litter       = 8 << 20  // the same while rows are read, which make much of it
	programLayer = 57 << 10 // of each layer of a compiled program: its steps, their operands and launches
)

// programs is what the programs of a run take of the Go heap: one to train and one to judge, of half the steps, for each
// length of a row.
func (j *job) programs() int64 {
	lengths := 2 * int64(j.survey.Lengths)
	if j.eval != nil {
		lengths += int64(j.eval.Lengths)
	}
	return programLayer * int64(j.model.Config.NumHiddenLayers+1) * lengths / 2
}

// sparing keeps garbage within bounds while rows are read, whose number is not the heap's; undo ends it.
func sparing() (undo func()) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	old := debug.SetGCPercent(int(max(1, 100*litter/max(litter, m.HeapAlloc)))) // at most doubled: roots count as heap in it
	return func() { debug.SetGCPercent(old) }
}

// settle gives back what reading the rows took for a while, and from here on keeps garbage within bounds: the Go heap then
// is what it holds now, the programs and that much more, however many rows there are.
func (j *job) settle() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	j.reading = code + int64(m.Sys) // memory that the heap once had counts in it
	debug.FreeOSMemory()
	runtime.ReadMemStats(&m)
	live := int64(m.HeapInuse) + j.programs()
	debug.SetGCPercent(int(max(1, 100*garbage/live)))
	j.program = code + int64(m.Sys-m.HeapSys) + live + garbage - j.device.Resident // which lies in the heap and has a line of its own
}

func (j *job) fixedBytes() fixed {
	f := fixed{Kernels: j.device.Resident, Program: j.program}
	f.Weights, f.Trained = weightBytes(j.session)
	f.Gradients, f.Optimizer = f.Trained, 2*f.Trained
	return f
}

// weightBytes is what a session's weights take on its device: those of the base, and those that are trained or an adapter's.
func weightBytes(s *session.Session) (base, trained int64) {
	for _, p := range s.Params() {
		n := elements(p) * s.Storage(p).Size()
		if p.Trained || p.Kind == nn.Adapter {
			trained += n
		} else {
			base += n
		}
	}
	return base, trained
}

// trainable counts the parameters that are trained, and all.
func (j *job) trainable() (trained, all int64) {
	for _, p := range j.session.Params() {
		n := elements(p)
		all += n
		if p.Trained || p.Kind == nn.Adapter {
			trained += n
		}
	}
	return trained, all
}

// snapshot is what the copy takes from which checkpoints are written in the background, in bytes: 0 where none is due before
// the end of the run.
func (j *job) snapshot() int64 {
	c, steps := j.cfg, j.data.Steps()
	early := func(every int) bool { return every > 0 && every < steps }
	if !early(c.Checkpoint.Every) && !(c.Eval.LoadBestModelAtEnd && j.eval != nil && early(c.Eval.Every)) {
		return 0
	}
	_, trained := weightBytes(j.session)
	return train.SnapshotBytes(trained)
}

func elements(p nn.Param) int64 { return exec.Type{Shape: p.Shape}.Elems() }

// unlimited stands for the free memory of a system that does not say what it has.
const unlimited = math.MaxInt64

func (j *job) memoryFree() (int64, error) { return memoryFree(j.device) }

func memoryFree(d *session.Device) (int64, error) {
	free, err := d.MemoryFree()
	if errors.Is(err, errors.ErrUnsupported) {
		return unlimited, nil
	}
	return free, err
}
