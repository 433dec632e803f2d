package main

import (
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"slices"

	"attune/engine/exec"
	"attune/engine/nn"
	"attune/engine/optim"
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

// memoryReport is what a run takes of memory at its peak, in bytes. Where the device has memory of its own, Total and Free are
// the device's, and snapshot, program and reading are of the host's, which Host adds up.
type memoryReport struct {
	fixed
	Activations int64       `json:"activations"`
	Inputs      int64       `json:"inputs"`           // a row's ids and the like, and the losses of a step
	Graphs      int64       `json:"graphs,omitempty"` // recorded programs, at most
	Pages       int64       `json:"pages,omitempty"`  // what the others take more as they lie in whole pages of the device
	Reading     int64       `json:"reading"`          // at most so much while the rows were read, before the others
	Total       int64       `json:"total"`
	Free        int64       `json:"free,omitempty"` // 0 = the system does not say
	Host        *hostReport `json:"host,omitempty"`

	training int64 // Total, but for the reading of rows
}

// hostReport is the memory of the process where the device has its own.
type hostReport struct {
	Total int64 `json:"total"`
	Free  int64 `json:"free,omitempty"`
}

// memory is what a run of that plan takes, snapshot bytes for a copy of its state among it.
func (j *job) memory(plan session.Plan, snapshot int64) memoryReport {
	m := memoryReport{fixed: j.fixedBytes(), Activations: plan.Arena, Inputs: plan.Inputs + plan.Losses, Graphs: plan.Recordings, Reading: j.reading}
	m.Snapshot = snapshot
	if !j.device.Discrete {
		m.training = m.fixed.total() + m.Activations + m.Inputs
		m.Total = max(m.Reading, m.training) // reading the rows is over before the weights come
		return m
	}
	m.training = j.device.Takes(slices.Concat(j.session.Buffers(), j.optimizerBuffers(), plan.Buffers())) + m.Kernels + m.Graphs
	m.Total = m.training
	m.Pages = m.Total - (m.Weights + m.Trained + m.Gradients + m.Optimizer + m.Kernels + m.Activations + m.Inputs + m.Graphs)
	m.Host = &hostReport{Total: max(m.Reading, m.Program+max(m.Snapshot, m.Trained))} // what is published is copied, too, once the snapshot is gone
	return m
}

// free notes what there is.
func (m *memoryReport) free(device, host int64) {
	if device != unlimited {
		m.Free = device
	}
	if m.Host != nil && host != unlimited {
		m.Host.Free = host
	}
}

// optimizerBuffers are the bytes of each of the optimizer's buffers on the device.
func (j *job) optimizerBuffers() []int64 {
	var shapes [][]int
	for _, p := range j.session.Params() {
		if p.Trained {
			shapes = append(shapes, p.Shape)
		}
	}
	return optim.Sizes(j.device.Scratch, shapes)
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
	if j.device.Lengths != nil {
		lengths = min(lengths, 3*8) * 4 // of eight lengths at most, each for four numbers of learnt tokens
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
	j.program = code + int64(m.Sys-m.HeapSys) + live + garbage
	if !j.device.Discrete {
		j.program -= j.device.Resident // which lies in the heap and has a line of its own
	}
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

// early is whether a checkpoint is due before the end of the run.
func (j *job) early() bool {
	c, steps := j.cfg, j.data.Steps()
	early := func(every int) bool { return every > 0 && every < steps }
	return early(c.Checkpoint.Every) || c.Eval.LoadBestModelAtEnd && j.eval != nil && early(c.Eval.Every)
}

// snapshot is what the copy takes from which checkpoints are written in the background, in bytes: 0 where none is due before
// the end of the run. From a device with memory of its own even the last one is written from it.
func (j *job) snapshot() int64 {
	if !j.early() && !j.device.Discrete {
		return 0
	}
	_, trained := weightBytes(j.session)
	return train.SnapshotBytes(trained)
}

func elements(p nn.Param) int64 { return exec.Type{Shape: p.Shape}.Elems() }

// unlimited stands for the free memory of a system that does not say what it has.
const unlimited = math.MaxInt64

// memoryFree is what there is for a run on a device, what its kernels hold already included.
func memoryFree(d *session.Device) (int64, error) {
	free, err := d.MemoryFree()
	if err == nil && d.Discrete {
		free += d.Resident
	}
	return limited(free, err)
}

// hostMemoryFree is what there is of the host's.
func hostMemoryFree() (int64, error) { return limited(session.HostMemoryFree()) }

func limited(free int64, err error) (int64, error) {
	if errors.Is(err, errors.ErrUnsupported) {
		return unlimited, nil
	}
	return free, err
}

// ofKernels says how much of what is taken is the kernels', with their workspace, and would be of the smallest model.
func ofKernels(d *session.Device) string {
	if d.Resident == 0 {
		return ""
	}
	return " (" + mib(d.Resident) + " of it kernels)"
}

// areFree says how much of a device's memory is, and whose it is where that is not clear.
func areFree(d *session.Device, free int64) string {
	if d.Discrete {
		return mib(free) + " of the device's memory are free (nvidia-smi shows what else takes it)"
	}
	return mib(free) + " are free"
}
