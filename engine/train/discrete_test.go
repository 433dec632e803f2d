package train

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"attune/engine/session/sessiontest"
)

// On a device with memory of its own a step is waited for once, for its norms, and its losses are read with them.
func TestOneWaitAStep(t *testing.T) {
	for _, lengths := range []bool{true, false} {
		device, b := sessiontest.Discrete(t, 1)
		if !lengths {
			device.Lengths = nil
		}
		r := newRunOn(t, device, Options{})
		r.Session.SetLengths(64, 64)
		r.Eval = nil
		waits, downloads, rows := b.Waits, b.Downloads, 0
		r.Events.OnStep = func(s Step, _ int) error {
			if s.Step > 1 && (b.Waits != waits+1 || b.Downloads != downloads+2) {
				t.Errorf("step %d of %d rows: %d waits, %d downloads", s.Step, s.MicroBatches, b.Waits-waits, b.Downloads-downloads)
			}
			waits, downloads, rows = b.Waits, b.Downloads, max(rows, s.MicroBatches)
			return nil
		}
		mustTrain(t, r)
		if rows < 2 || b.Replayed == 0 || b.Batches != 2*steps {
			t.Errorf("%d rows a step at most, %d runs from recordings, %d launches of many", rows, b.Replayed, b.Batches)
		}
	}
}

// What comes of a run there are the bits of the processor, recorded or launched, and so are its checkpoints, though no more of
// the state is ever in the host's memory than what was allocated for it.
func TestDiscreteIsProcessor(t *testing.T) {
	o := func() Options {
		return Options{EvalEvery: 5, SaveEvery: 3, LoadBest: true, Store: store(t.TempDir(), 99)}
	}
	want := newRun(t, o())
	mustTrain(t, want)
	for _, recorded := range []bool{true, false} {
		device, b := sessiontest.Discrete(t, 1)
		device.Lengths = nil // the processor computes every row as long as it is
		b.NoRecordings = !recorded
		var memory int64
		hosts := device.HostAlloc
		device.HostAlloc = func(n int64) ([]byte, func() error, error) {
			memory += n
			return hosts(n)
		}
		far := o()
		far.Snapshot = true
		r := newRunOn(t, device, far)
		var size int64
		for _, p := range r.Session.Params() {
			size += SnapshotBytes(aligned(r.Session.Value(p.Name).Bytes()))
		}
		mustTrain(t, r)
		if (b.Replayed > 0) != recorded {
			t.Errorf("%d runs from recordings", b.Replayed)
		}
		if memory != size {
			t.Errorf("%d bytes of the host for copies, a state has %d", memory, size)
		}
		if !reflect.DeepEqual(all(t, r), all(t, want)) {
			t.Error("other weights or moments than on the processor")
		}
		sameFiles(t, want.Store.Root, r.Store.Root)
	}
}

// Where there is no room for a copy of the state, its tensors come to the host one at a time, as they are written.
func TestStateIsWrittenTensorByTensor(t *testing.T) {
	o := func() Options { return Options{SaveEvery: 3, Store: store(t.TempDir(), 99)} }
	want := newRun(t, o())
	want.Eval = nil
	mustTrain(t, want)
	device, b := sessiontest.Discrete(t, 1)
	device.Lengths = nil
	r := newRunOn(t, device, o())
	r.Eval = nil
	before, saves := 0, 0
	r.Events.OnStep = func(Step, int) error { before = b.Downloads; return nil }
	r.Events.BeforeSave = func(step int) error {
		if saves++; b.Downloads != before {
			t.Errorf("step %d: %d tensors were brought before the first was written", step, b.Downloads-before)
		}
		return nil
	}
	mustTrain(t, r)
	if saves < 3 {
		t.Fatalf("%d checkpoints", saves)
	}
	sameFiles(t, want.Store.Root, r.Store.Root)
}

// sameFiles: the tensors of every checkpoint are the same bytes in both directories.
func sameFiles(t *testing.T, want, got string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(want, "*", "*.safetensors"))
	if err != nil || len(files) < 2*steps/3 {
		t.Fatalf("%d files of checkpoints, %v", len(files), err)
	}
	for _, path := range files {
		name, err := filepath.Rel(want, path)
		if err != nil {
			t.Fatal(err)
		}
		a, errA := os.ReadFile(path)
		c, errC := os.ReadFile(filepath.Join(got, name))
		if errA != nil || errC != nil || string(a) != string(c) {
			t.Errorf("%s differs (%v, %v)", name, errA, errC)
		}
	}
}
