package session

import (
	"encoding/binary"
	"fmt"
	"math"

	"attune/engine/exec"
	"attune/kernels"
)

// losses are those of batches that are queued: each is copied to a place of its own, since the arena belongs to the next
// batch, and all are read together.
type losses struct {
	buf    exec.Buffer // keptLosses float32, each at a multiple of exec.Align; scratch behind them
	queued int         // in buf
	had    []float64   // those of the same step that were read, since there was no more room
}

// keptLosses is how many losses wait on the device. No more rows are queued ahead: enough that it never waits for the host, and
// few, since a step that is called off between two rows takes those that are queued.
const keptLosses = 8

// lossBytes is what they take of a device.
func lossBytes(d *Device) int64 {
	one := exec.Type{Dtype: kernels.Float32, Shape: []int{}}
	all := exec.Type{Dtype: kernels.Float32, Shape: []int{keptLosses * exec.Align / 4}}
	scratch := max(d.Scratch(kernels.Accumulate{}, []exec.Type{one, one}, []exec.Type{one}), d.Scratch(kernels.Zero{}, nil, []exec.Type{all}))
	return keptLosses*exec.Align + scratch
}

// open allocates the memory.
func (l *losses) open(d *Device) (err error) {
	if l.buf != nil {
		return nil
	}
	if l.buf, err = d.Alloc(lossBytes(d)); err != nil {
		l.buf = nil
		return fmt.Errorf("allocate the memory of losses: %w", err)
	}
	return nil
}

// keep queues a copy of a loss: it is added to a zero.
func (l *losses) keep(d *Device, loss exec.Operand) error {
	if err := l.open(d); err != nil {
		return err
	}
	if l.queued == keptLosses {
		if err := l.fetch(d); err != nil {
			return err
		}
	}
	if l.queued == 0 {
		all := exec.Operand{Buf: l.buf, Dtype: kernels.Float32, Shape: []int{keptLosses * exec.Align / 4}}
		if err := l.launch(d, exec.Launch{Kernel: kernels.Zero{}, Out: []exec.Operand{all}}); err != nil {
			return err
		}
	}
	slot := exec.Operand{Buf: l.buf, Off: int64(l.queued) * exec.Align, Dtype: kernels.Float32, Shape: []int{}}
	if err := l.launch(d, exec.Launch{Kernel: kernels.Accumulate{}, In: []exec.Operand{slot, loss}, Out: []exec.Operand{slot}}); err != nil {
		return err
	}
	l.queued++
	return nil
}

func (l *losses) launch(d *Device, x exec.Launch) error {
	if n := l.buf.Bytes() - keptLosses*exec.Align; n > 0 {
		x.Scratch = exec.Region{Buf: l.buf, Off: keptLosses * exec.Align, Len: n}
	}
	if err := d.Launch(x); err != nil {
		return fmt.Errorf("keep a loss: %w", err)
	}
	return nil
}

// fetch reads those that are queued.
func (l *losses) fetch(d *Device) error {
	raw := make([]byte, l.queued*exec.Align)
	if err := d.Download(raw, l.buf, 0); err != nil {
		return fmt.Errorf("read the losses: %w", err)
	}
	for i := range l.queued {
		l.had = append(l.had, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[i*exec.Align:]))))
	}
	l.queued = 0
	return nil
}

// read gives all, and forgets them.
func (l *losses) read(d *Device) ([]float64, error) {
	defer l.forget()
	if l.queued > 0 {
		if err := l.fetch(d); err != nil {
			return nil, err
		}
	}
	return l.had, nil
}

func (l *losses) forget() { l.queued, l.had = 0, nil }
