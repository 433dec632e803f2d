package lawtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/engine/model"
	"attune/engine/session"
	"attune/internal/rng"
	"attune/kernels"

	"pgregory.net/rapid"
)

// bench is what trials share: devices, which keep nothing of a run, and the model of the newest.
type bench struct {
	setup   Setup
	dir     string
	devices map[int]*session.Device
	made    string // what the model was made by
	base    *model.Checkpoint
	faults  faults
}

// faults are the places in which the laws' own test breaks something; a nil one breaks nothing.
type faults struct {
	launch  func(c trial, l exec.Launch, run func(exec.Launch) error) error // in place of run(l), on the bench's device
	resumed func(*job)                                                      // a run that has just been resumed
}

func newBench(s Setup, dir string) *bench {
	return &bench{setup: s, dir: dir, devices: map[int]*session.Device{}}
}

func (b *bench) close() error {
	errs := []error{b.forget()}
	for _, d := range b.devices {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// watchedBackend lets something see, or change, what is launched.
type watchedBackend struct {
	exec.Backend
	launch func(l exec.Launch, run func(exec.Launch) error) error
}

// Launch implements exec.Backend.
func (w watchedBackend) Launch(l exec.Launch) error { return w.launch(l, w.Backend.Launch) }

// watch is a device with something between it and what is launched.
func watch(d *session.Device, launch func(l exec.Launch, run func(exec.Launch) error) error) *session.Device {
	w := *d
	w.Backend = watchedBackend{d.Backend, launch}
	return &w
}

// device is what a trial runs on.
func (b *bench) device(rt *rapid.T, c trial) *session.Device {
	if c.reference {
		return &session.Device{Backend: exectest.NewReference()}
	}
	d := b.threads(rt, c.threads)
	if b.faults.launch != nil {
		d = watch(d, func(l exec.Launch, run func(exec.Launch) error) error { return b.faults.launch(c, l, run) })
	}
	if c.before != nil {
		d = watch(d, func(l exec.Launch, run func(exec.Launch) error) error { c.before(); return run(l) })
	}
	return d
}

// threads is the bench's device with so many threads.
func (b *bench) threads(rt *rapid.T, n int) *session.Device {
	d, ok := b.devices[n]
	if !ok {
		var err error
		if d, err = b.setup.Open(n); err != nil {
			rt.Fatalf("open the device with %d threads: %v", n, err)
		}
		b.devices[n] = d
	}
	return d
}

// model is that of a trial, made once for all its runs. New makes norms 1 and biases 0, which hides a norm or a bias that
// is left out: here they are random too.
func (b *bench) model(rt *rapid.T, o model.NewOptions) *model.Checkpoint {
	key := fmt.Sprintf("%+v", o)
	if b.base != nil && b.made == key {
		return b.base
	}
	err := b.forget()
	if err == nil {
		b.base, err = b.newModel(o)
	}
	if errors.Is(err, model.ErrUnsupported) && o.SlidingWindow > 0 {
		o.SlidingWindow = 0
		b.base, err = b.newModel(o)
	}
	if err != nil {
		rt.Fatalf("a model for the trial: %v", err)
	}
	b.made = key
	return b.base
}

// forget removes the model of the trials so far.
func (b *bench) forget() error {
	if b.base == nil {
		return nil
	}
	dir := filepath.Dir(b.base.Dir)
	err := b.base.Close()
	b.base = nil
	return errors.Join(err, os.RemoveAll(dir))
}

func (b *bench) newModel(o model.NewOptions) (*model.Checkpoint, error) {
	dir, err := os.MkdirTemp(b.dir, "model")
	if err != nil {
		return nil, err
	}
	plain := filepath.Join(dir, "plain")
	if err := model.New(files(), plain, o); err != nil {
		return nil, err
	}
	ck, err := model.Open(plain)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	tensors, err := ck.Config.Tensors()
	if err != nil {
		return nil, err
	}
	var weights []model.Weight
	for _, t := range tensors {
		w, err := ck.Weight(t.Name)
		if err != nil {
			return nil, err
		}
		if len(t.Shape) == 1 {
			f := model.Weight{Name: w.Name, Dtype: kernels.Float32, Shape: w.Shape, Data: vector(t.Name, t.Shape[0], o.Seed)}
			if w.Data, err = f.As(w.Dtype); err != nil {
				return nil, err
			}
		}
		weights = append(weights, w)
	}
	varied := filepath.Join(dir, "varied")
	if err := model.Save(files(), varied, ck, weights, nil, nil); err != nil {
		return nil, err
	}
	return model.Open(varied)
}

// vector is a norm around 1 or a bias around 0, in the bytes of float32.
func vector(name string, n int, seed uint64) []byte {
	around, r := 1.0, rng.New(seed, rng.Hash(name))
	if strings.HasSuffix(name, ".bias") {
		around = 0
	}
	b := make([]byte, 0, 4*n)
	for range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(around+0.3*r.Norm())))
	}
	return b
}

// temp is a directory that is gone when the trial is over.
func (b *bench) temp(rt *rapid.T) string {
	dir, err := os.MkdirTemp(b.dir, "trial")
	if err != nil {
		rt.Fatal(err)
	}
	rt.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			rt.Error(err)
		}
	})
	return dir
}
