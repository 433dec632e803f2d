package train

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"attune/engine/checkpoint"
	"attune/internal/disk"
	"attune/internal/disk/disktest"
)

// onFaults is a run of checkpoints in a directory of a disk with faults, written in the background.
func onFaults(t *testing.T, prepare func(*disktest.Faults)) (*Run, *disktest.Faults) {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, root.Close)
	faults := disktest.New(disk.In(root))
	prepare(faults)
	return newRun(t, Options{SaveEvery: 8, EvalEvery: 12, LoadBest: true, Snapshot: true, Store: &checkpoint.Store{FS: faults, Root: "checkpoints", Keep: 1}}), faults
}

// healed is the same run on the same disk, which fails no more.
func healed(t *testing.T, r *Run) *Run {
	t.Helper()
	again := newRun(t, r.Options)
	s := r.Store
	dir, err := os.OpenRoot(s.FS.Path("."))
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, dir.Close)
	again.Store = &checkpoint.Store{FS: disk.In(dir), Root: s.Root, Keep: s.Keep}
	if c, _, err := again.Store.Latest(); err != nil {
		t.Fatalf("%v", err)
	} else if c != nil {
		if err := errors.Join(again.Resume(c), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return again
}

// Whatever operation of a whole run's checkpoints fails, is half done, or is the last before a kill or a power cut: the run
// ends with the unbroken one's weights, and what lies on the disk then goes on to the same.
func TestEveryOperationOfARun(t *testing.T) {
	whole, faults := onFaults(t, func(*disktest.Faults) {})
	want := mustTrain(t, whole)
	ops := faults.Ops()
	if len(ops) < 40 {
		t.Fatalf("only %d operations: %v", len(ops), ops)
	}
	broken := errors.New("the disk is broken")
	modes := []struct {
		name string
		mode disktest.Mode
		then func(*disktest.Faults) error
	}{
		{"fails", disktest.Fail(broken), nil}, {"is half done", disktest.Short(broken), nil}, {"is the last", disktest.Die(), nil},
		{"is the last, power cut", disktest.Die(), (*disktest.Faults).PowerCut},
	}
	for i, op := range ops {
		m := modes[i%len(modes)]
		t.Run(fmt.Sprintf("%d %s %s", i, op.Kind, m.name), func(t *testing.T) {
			r, faults := onFaults(t, func(f *disktest.Faults) { f.At(i, m.mode) })
			res := mustTrain(t, r)
			if !reflect.DeepEqual(weights(t, r), weights(t, whole)) {
				t.Error("it ends with other weights")
			}
			if faults.Dead() != (res.NotSaved != nil && errors.Is(res.NotSaved, disktest.ErrDied)) && i < len(ops)-8 { // the last ones only tidy up
				t.Errorf("dead: %t, not saved: %v", faults.Dead(), res.NotSaved)
			}
			if m.then != nil {
				if err := m.then(faults); err != nil {
					t.Fatal(err)
				}
			}
			again := healed(t, r)
			from := again.Done()
			if again := mustTrain(t, again); again.Tokens != want.Tokens || again.NotSaved != nil {
				t.Errorf("gone on with from step %d: %+v, the unbroken run has %+v", from, again, want)
			}
			if !reflect.DeepEqual(weights(t, again), weights(t, whole)) {
				t.Errorf("gone on with from step %d, it ends with other weights", from)
			}
		})
	}
}

// However much room the disk has, the run ends with the same weights, and goes on to them from what could be written.
func TestFullDisk(t *testing.T) {
	whole, faults := onFaults(t, func(*disktest.Faults) {})
	want := mustTrain(t, whole)
	var written int64
	for _, op := range faults.Ops() {
		written += int64(op.Bytes)
	}
	const sizes = 12
	saved := 0
	for i := range int64(sizes) {
		r, _ := onFaults(t, func(f *disktest.Faults) { f.Full(i * written / sizes) })
		res := mustTrain(t, r)
		if res.NotSaved == nil {
			saved++
		} else if !errors.Is(res.NotSaved, syscall.ENOSPC) {
			t.Errorf("not saved: %v", res.NotSaved)
		}
		again := healed(t, r)
		from := again.Done()
		if from != steps && res.NotSaved == nil || from == steps && res.NotSaved != nil {
			t.Errorf("it goes on from step %d; not saved: %v", from, res.NotSaved)
		}
		if end := mustTrain(t, again); end.Tokens != want.Tokens || !reflect.DeepEqual(weights(t, again), weights(t, whole)) {
			t.Errorf("gone on with from step %d: %+v, the unbroken run has %+v", from, end, want)
		}
	}
	if saved == 0 || saved == sizes {
		t.Errorf("%d of %d runs saved their last state: the sizes show nothing", saved, sizes)
	}
}

// An old checkpoint that cannot be removed is told of and ends nothing; where it can be again, it goes.
func TestAnOldCheckpointStays(t *testing.T) {
	broken := errors.New("the disk is broken")
	removals := 0
	r, _ := onFaults(t, func(f *disktest.Faults) {
		f.When(func(op disktest.Op) bool {
			if op.Kind == "rename" && strings.HasSuffix(op.Name, "/step-000008") {
				removals++
				return removals == 1
			}
			return false
		}, disktest.Fail(broken))
	})
	list := saved(r)
	if res := mustTrain(t, r); res.NotSaved != nil {
		t.Error(res.NotSaved)
	}
	stayed := 0
	for _, s := range *list {
		if s.Err != nil {
			t.Errorf("that of step %d was not written: %v", s.Step, s.Err)
		}
		if errors.Is(s.Left, broken) {
			stayed++
		} else if s.Left != nil {
			t.Error(s.Left)
		}
	}
	if entries, err := r.Store.FS.ReadDir(r.Store.Root); stayed != 1 || len(entries) != 1 || err != nil {
		t.Errorf("told of %d times; at the end there are %v, %v", stayed, entries, err)
	}
}
