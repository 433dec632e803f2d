package exectest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"attune/engine/exec"
	"attune/kernels"
)

// Discrete is a backend with memory of its own in front of another that computes: everything is queued and runs as late as
// its contract allows, launches are recorded and taken together, and what is asked of it is counted. It stands for a GPU
// where there is none.
type Discrete struct {
	// Limit is the memory in bytes; 0 = no end.
	Limit int64
	// NoRecordings: it cannot record; NoRoom: there is never memory for it.
	NoRecordings, NoRoom bool

	Waits      int   // times the host waited for launches
	Downloads  int   // all, those that waited too
	Launched   int   // one by one
	Batches    int   // launches taken together
	Recorded   int   // recordings made
	Replayed   int   // runs of them
	Alive      int   // recordings not closed
	MostAlive  int   // of them at a time
	Allocated  int64 // bytes, rounded as Footprint does
	Peak       int64 // the most of them
	Recordings int64 // bytes of those alive

	inner exec.Backend
	mu    sync.Mutex // Upload may be called by several goroutines
	queue []func() error
	work  bool // there are launches in the queue
}

// NewDiscrete is one whose kernels run on inner.
func NewDiscrete(inner exec.Backend) *Discrete { return &Discrete{inner: inner} }

// remote is memory that only its backend reaches.
type remote struct {
	owner *Discrete
	inner exec.Buffer
	size  int64
	freed bool
}

// Bytes implements exec.Buffer.
func (m *remote) Bytes() int64 { return m.size }

// Free implements exec.Buffer.
func (m *remote) Free() error {
	if m.freed {
		return errors.New("freed twice")
	}
	m.freed = true
	m.owner.Allocated -= rounded(m.size)
	m.owner.queue = append(m.owner.queue, m.inner.Free)
	return nil
}

// granule is what memory is given in.
const granule = 512

func rounded(n int64) int64 { return (n + granule - 1) / granule * granule }

// Footprint is what buffers of such sizes take.
func Footprint(sizes []int64) int64 {
	var all int64
	for _, n := range sizes {
		all += rounded(n)
	}
	return all
}

// Name implements exec.Backend.
func (d *Discrete) Name() string { return "discrete " + d.inner.Name() }

// Alloc implements exec.Backend.
func (d *Discrete) Alloc(n int64) (exec.Buffer, error) {
	if d.Limit > 0 && d.Allocated+rounded(n) > d.Limit {
		return nil, fmt.Errorf("allocate %d bytes beside %d: %w", n, d.Allocated, exec.ErrMemory)
	}
	inner, err := d.inner.Alloc(n)
	if err != nil {
		return nil, err
	}
	d.Allocated += rounded(n)
	d.Peak = max(d.Peak, d.Allocated)
	return &remote{owner: d, inner: inner, size: n}, nil
}

func (d *Discrete) part(b exec.Buffer) (exec.Buffer, error) {
	m, ok := b.(*remote)
	if !ok || m.owner != d || m.freed {
		return nil, fmt.Errorf("a buffer of %T that is not this device's, or was freed", b)
	}
	return m.inner, nil
}

// Upload implements exec.Backend.
func (d *Discrete) Upload(dst exec.Buffer, off int64, src []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	inner, err := d.part(dst)
	if err != nil {
		return err
	}
	src = bytes.Clone(src)
	d.queue = append(d.queue, func() error { return d.inner.Upload(inner, off, src) })
	return nil
}

// Download implements exec.Backend.
func (d *Discrete) Download(dst []byte, src exec.Buffer, off int64) error {
	d.Downloads++
	inner, err := d.part(src)
	if err = errors.Join(d.Sync(), err); err != nil {
		return err
	}
	return d.inner.Download(dst, inner, off)
}

// Scratch implements exec.Backend.
func (d *Discrete) Scratch(k kernels.Kernel, in, out []exec.Type) int64 {
	return d.inner.Scratch(k, in, out)
}

// Launch implements exec.Backend.
func (d *Discrete) Launch(l exec.Launch) error {
	d.Launched++
	return d.add(l)
}

func (d *Discrete) add(l exec.Launch) error {
	run, err := d.ready(l)
	if err != nil {
		return err
	}
	d.queue, d.work = append(d.queue, run), true
	return nil
}

// ready is a launch whose buffers are found.
func (d *Discrete) ready(l exec.Launch) (run func() error, err error) {
	local := func(os []exec.Operand) []exec.Operand {
		found := append([]exec.Operand(nil), os...)
		for i := range found {
			if found[i].Buf != nil {
				var e error
				found[i].Buf, e = d.part(found[i].Buf)
				err = errors.Join(err, e)
			}
		}
		return found
	}
	l.In, l.Out = local(l.In), local(l.Out)
	if l.Scratch.Buf != nil {
		var e error
		l.Scratch.Buf, e = d.part(l.Scratch.Buf)
		err = errors.Join(err, e)
	}
	return func() error { return d.inner.Launch(l) }, err
}

// LaunchAll implements exec.Batcher, the last first.
func (d *Discrete) LaunchAll(launches []exec.Launch) error {
	d.Batches++
	for i := range launches {
		if err := d.add(launches[len(launches)-1-i]); err != nil {
			return err
		}
	}
	return nil
}

// Sync implements exec.Backend.
func (d *Discrete) Sync() error {
	if d.work {
		d.Waits++
	}
	queue := d.queue
	d.queue, d.work = nil, false
	var errs []error
	for _, run := range queue {
		errs = append(errs, run())
	}
	return errors.Join(errs...)
}

// MemoryFree implements exec.Backend.
func (d *Discrete) MemoryFree() (int64, error) {
	if d.Limit == 0 {
		return 0, fmt.Errorf("free memory: %w", errors.ErrUnsupported)
	}
	return d.Limit - d.Allocated, nil
}

// Close implements exec.Backend.
func (d *Discrete) Close() error {
	err := errors.Join(d.Sync(), d.inner.Close())
	if d.Allocated != 0 || d.Alive != 0 {
		err = errors.Join(err, fmt.Errorf("%d bytes and %d recordings are left", d.Allocated, d.Alive))
	}
	return err
}

// recording is a list of launches that are ready.
type recording struct {
	owner    *Discrete
	launches []exec.Launch
	closed   bool
}

// Record implements exec.Recorder.
func (d *Discrete) Record(launches []exec.Launch) (exec.Recording, error) {
	switch {
	case d.NoRecordings:
		return nil, fmt.Errorf("record: %w", errors.ErrUnsupported)
	case d.NoRoom:
		return nil, fmt.Errorf("record: %w", exec.ErrMemory)
	}
	r := &recording{owner: d, launches: append([]exec.Launch(nil), launches...)}
	d.Recorded++
	d.Alive++
	d.MostAlive = max(d.MostAlive, d.Alive)
	d.Recordings += r.Bytes()
	return r, nil
}

// Queue implements exec.Recording.
func (r *recording) Queue() error {
	if r.closed {
		return errors.New("a recording that was closed")
	}
	r.owner.Replayed++
	for _, l := range r.launches {
		if err := r.owner.add(l); err != nil {
			return err
		}
	}
	return nil
}

// recordedLaunch is what a recording takes of a launch.
const recordedLaunch = 100

// Bytes implements exec.Recording.
func (r *recording) Bytes() int64 { return recordedLaunch * int64(len(r.launches)) }

// Close implements exec.Recording.
func (r *recording) Close() error {
	if r.closed {
		return errors.New("a recording was closed twice")
	}
	r.closed = true
	r.owner.Alive--
	r.owner.Recordings -= r.Bytes()
	return nil
}

var (
	_ exec.Backend   = (*Discrete)(nil)
	_ exec.Recorder  = (*Discrete)(nil)
	_ exec.Batcher   = (*Discrete)(nil)
	_ exec.Recording = (*recording)(nil)
)
