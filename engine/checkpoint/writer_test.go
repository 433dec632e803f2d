package checkpoint

import (
	"bytes"
	"errors"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"

	"attune/internal/disk/disktest"
)

// onDisk makes the store's files those of a disk with faults.
func onDisk(s *Store) *disktest.Faults {
	f := disktest.New(s.FS)
	s.FS = f
	return f
}

func kind(k string) func(disktest.Op) bool {
	return func(op disktest.Op) bool { return op.Kind == k }
}

// held stores write nothing whole before they are released; that they came to their first sync is told on reached.
func held(t *testing.T) (s *Store, reached <-chan struct{}, release func()) {
	begun, open := make(chan struct{}, 100), make(chan struct{})
	s = store(t)
	put(t, s, 1)
	onDisk(s).When(func(op disktest.Op) bool {
		if op.Kind == "sync" {
			begun <- struct{}{}
		}
		return op.Kind == "sync"
	}, disktest.Hold(open))
	return s, begun, func() { close(open) }
}

func start(w *Writer, step int, before func() error) {
	w.Start(stateOf(step), nil, tensors(byte(step)), tensors(9), before)
}

// While a checkpoint is written its caller goes on, the one before it stands, and what the caller changes by then is not
// what is saved.
func TestWriterIsInTheBackground(t *testing.T) {
	s, reached, release := held(t)
	w := s.NewWriter()
	st := stateOf(2)
	w.Start(st, nil, tensors(2), tensors(9), nil)
	<-reached
	for _, x := range []*float64{st.FirstLoss, st.BestLoss, st.EvalLoss} {
		*x = 99
	}
	st.Guard.Losses[0], st.Guard.Skipped[0].To, st.Identity["model"] = 99, 99, "changed"
	if saved := w.Done(); len(saved) != 0 {
		t.Fatalf("told before it is written: %+v", saved)
	}
	if step, skipped := latest(t, fresh(s)); step != 1 || skipped != 0 {
		t.Errorf("step %d stands while another is written, %d passed over", step, skipped)
	}
	release()
	saved := w.Wait()
	if len(saved) != 1 || saved[0].Step != 2 || saved[0].Dir != s.Dir(2) || saved[0].Err != nil || saved[0].Left != nil || saved[0].Took <= 0 {
		t.Fatalf("%+v", saved)
	}
	if step, _ := latest(t, fresh(s)); step != 2 {
		t.Errorf("step %d stands", step)
	}
	size := int64(0)
	for _, b := range contents(t, s.Dir(2)) {
		size += int64(len(b))
	}
	if saved[0].Bytes != size {
		t.Errorf("%d bytes told, %d written", saved[0].Bytes, size)
	}
	if err := w.Close(); err != nil || len(w.Done()) != 0 {
		t.Errorf("told twice, or %v", err)
	}
	foreground := store(t)
	w = foreground.NewWriter()
	w.Write(stateOf(2), nil, tensors(2), tensors(9), nil)
	if saved := w.Done(); len(saved) != 1 || saved[0].Bytes != size || saved[0].Err != nil {
		t.Fatalf("%+v", saved)
	}
	if !maps.EqualFunc(contents(t, s.Dir(2)), contents(t, foreground.Dir(2)), bytes.Equal) {
		t.Error("the files are not those of a save in the foreground")
	}
}

// A second write begins when the first is done; both are told, in their order.
func TestWriterWritesInOrder(t *testing.T) {
	s, reached, release := held(t)
	s.Keep = 9
	w := s.NewWriter()
	start(w, 2, nil)
	<-reached
	second := make(chan struct{})
	go func() {
		defer close(second)
		start(w, 3, func() error {
			if step, _ := latest(t, fresh(s)); step != 2 {
				t.Errorf("the write of step 3 began when step %d was the newest", step)
			}
			return nil
		})
	}()
	select {
	case <-second:
		t.Error("the second write did not wait for the first")
	case <-time.After(20 * time.Millisecond): // only to give it the time to go wrong
	}
	release()
	<-second
	if saved := w.Wait(); len(saved) != 2 || saved[0].Step != 2 || saved[1].Step != 3 || saved[0].Err != nil || saved[1].Err != nil {
		t.Errorf("%+v", saved)
	}
	if step, _ := latest(t, fresh(s)); step != 3 {
		t.Errorf("step %d stands", step)
	}
	start(w, 4, nil)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := names(t, s); got != "step-000001 step-000002 step-000003 step-000004" {
		t.Errorf("left: %s", got)
	}
}

// What before cannot make sure of is not saved, and nothing is touched; the next one is.
func TestWriterAsksBefore(t *testing.T) {
	s := store(t)
	s.Keep = 1
	put(t, s, 1)
	w, boom := s.NewWriter(), errors.New("the disk is full")
	start(w, 2, func() error { return boom })
	if saved := w.Wait(); len(saved) != 1 || saved[0].Step != 2 || saved[0].Dir != "" || !errors.Is(saved[0].Err, boom) {
		t.Errorf("%+v", saved)
	}
	if got := names(t, s); got != "step-000001" {
		t.Errorf("left: %s", got)
	}
	start(w, 3, nil)
	if saved := w.Wait(); len(saved) != 1 || saved[0].Err != nil {
		t.Errorf("%+v", saved)
	}
	if got := names(t, s); got != "step-000003" {
		t.Errorf("left: %s", got)
	}
	start(w, 4, func() error { return boom })
	if err := w.Close(); !errors.Is(err, boom) {
		t.Errorf("nobody was told: %v", err)
	}
}

// A write that fails leaves the one before it and nothing else, and is told; so is an old one that cannot be removed,
// which costs the new one nothing.
func TestWriterTellsWhatFails(t *testing.T) {
	s, boom := store(t), errors.New("boom")
	s.Keep = 1
	put(t, s, 1)
	f, w := onDisk(s), s.NewWriter()
	for _, fails := range []string{"create", "write", "sync", "syncdir", "mkdir", "rename"} {
		f.When(kind(fails), disktest.Fail(boom))
		start(w, 2, nil)
		if saved := w.Wait(); len(saved) != 1 || saved[0].Dir != "" || !errors.Is(saved[0].Err, boom) || !strings.Contains(saved[0].Err.Error(), "save checkpoint") {
			t.Errorf("%s: %+v", fails, saved)
		}
		if got := names(t, s); got != "step-000001" {
			t.Errorf("%s: left: %s", fails, got)
		}
		f.Heal()
	}
	f.When(func(op disktest.Op) bool { return op.Kind == "rename" && strings.HasSuffix(op.Name, "step-000001") }, disktest.Fail(boom))
	start(w, 2, nil)
	if saved := w.Wait(); len(saved) != 1 || saved[0].Dir == "" || saved[0].Err != nil || !errors.Is(saved[0].Left, boom) {
		t.Errorf("%+v", saved)
	}
	if step, _ := latest(t, fresh(s)); step != 2 || names(t, s) != "step-000001 step-000002" {
		t.Errorf("step %d of %s", step, names(t, s))
	}
	f.Heal()
	start(w, 3, nil)
	if saved := w.Wait(); len(saved) != 1 || saved[0].Left != nil || names(t, s) != "step-000003" {
		t.Errorf("%+v, left: %s", saved, names(t, s))
	}
}

// Writers end with their writes: a run of thousands of checkpoints has no more goroutines than one of two.
func TestWriterLeavesNothingRunning(t *testing.T) {
	s := store(t)
	w := s.NewWriter()
	start(w, 1, nil)
	w.Wait()
	before := runtime.NumGoroutine()
	for step := 2; step < 20; step++ {
		start(w, step, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < time.Minute; { // the last one has told its end a moment before it is gone
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
