package checkpoint

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"attune/internal/disk/disktest"
)

var errBroken = errors.New("the disk is broken")

// endings are how an operation of a disk can go wrong, and what of the machine goes with it.
var endings = []struct {
	name string
	mode disktest.Mode
	then func(*disktest.Faults) error
}{
	{"fails", disktest.Fail(errBroken), nil},
	{"half done", disktest.Short(errBroken), nil},
	{"killed", disktest.Die(), nil},
	{"power cut", disktest.Die(), (*disktest.Faults).PowerCut},
	{"power cut late", disktest.Die(), (*disktest.Faults).PowerCutLate},
}

// Every operation of a save and of the pruning behind it fails, in every way, each in a run of its own. A reader finds the
// state before or the new one, every byte of it, and nothing torn; what was told to be saved is there whatever came after.
func TestEveryOperationFails(t *testing.T) {
	replaced := stateOf(2)
	replaced.Tokens = 4711
	for _, x := range []struct {
		name       string
		there      []int // and step 2 is damaged where it is
		damaged    bool
		before     int // the newest whole one
		keep       int
		st         State
		noExchange bool // of two directories: a system that cannot
	}{
		{name: "the first", keep: 1, st: stateOf(1)},
		{name: "the next", there: []int{1, 2}, before: 2, keep: 1, st: stateOf(3)},
		{name: "one is replaced", there: []int{1, 2}, before: 2, keep: 2, st: replaced},
		{name: "one is replaced without exchange", there: []int{1, 2}, before: 2, keep: 2, st: replaced, noExchange: true},
		{name: "a damaged one is replaced", there: []int{1, 2}, damaged: true, before: 1, keep: 1, st: replaced},
	} {
		t.Run(x.name, func(t *testing.T) {
			begin := func() (*Store, *disktest.Faults) {
				s := store(t)
				s.FS, s.Keep = disktest.New(s.FS), x.keep // which waits for no disk
				put(t, s, x.there...)
				if x.damaged {
					damage(t, s, 2)
				}
				s = fresh(s)
				f := onDisk(s)
				if x.noExchange {
					f.When(kind("exchange"), disktest.Fail(errors.ErrUnsupported))
				}
				return s, f
			}
			act := func(s *Store) (saved, pruned error) {
				if saved = save(s, x.st, tensors(byte(x.st.Step)), tensors(9)); saved == nil {
					pruned = s.prune(x.st.Step)
				}
				return saved, pruned
			}
			s, f := begin()
			if saved, pruned := act(s); saved != nil || pruned != nil {
				t.Fatal(saved, pruned)
			}
			ops := f.Ops()
			if len(ops) < 15 {
				t.Fatalf("only %d operations: %v", len(ops), ops)
			}
			for i, op := range ops {
				for _, how := range endings {
					s, f := begin()
					f.At(i, how.mode)
					saved, pruned := act(s)
					where := fmt.Sprintf("%s %s (operation %d): saved %v, pruned %v", op, how.name, i, saved, pruned)
					if how.then != nil {
						if err := how.then(f); err != nil {
							t.Fatal(where, err)
						}
					}
					alive := !f.Dead()
					f.Heal()
					reader := store(t) // as the process that goes on sees it
					reader.Root, reader.Keep = s.Root, s.Keep
					if err := reader.Sweep(); err != nil {
						t.Fatal(where, err)
					}
					wantOldOrNew(t, where, reader, x.before, x.st, saved == nil, x.damaged)
					if left := names(t, reader); strings.Contains(left, ".tmp-") {
						t.Errorf("%s: left: %s", where, left)
					}
					if alive { // the run goes on, and the next time it works
						if saved, pruned := act(s); saved != nil || pruned != nil {
							t.Errorf("%s: again: %v, %v", where, saved, pruned)
						}
						wantOldOrNew(t, where+" and again", reader, x.before, x.st, true, x.damaged)
					}
				}
			}
		})
	}
}

// wantOldOrNew reads the newest whole checkpoint: st, or where it need not be saved the one of step before (0 = none).
// Nothing torn stands there, of an old one neither; what the test damaged may, until it is replaced.
func wantOldOrNew(t *testing.T, where string, s *Store, before int, st State, saved, damaged bool) {
	t.Helper()
	steps, err := s.list()
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	newest, found := 0, false
	for _, step := range steps {
		c, err := fresh(s).Open(step)
		if damaged && step > before && errors.Is(err, ErrCorrupt) {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		newest, found = step, step == st.Step && c.Tokens == st.Tokens
		c.Tokens = stateOf(step).Tokens // what a replaced one differs in
		wantWhole(t, c)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if !found && (saved || newest != before) {
		t.Fatalf("%s: %v are found", where, steps)
	}
}

// However many bytes are free, a save works or says that there are too few, leaves the one before it, and leaves no more on
// the disk than there was; with room again it works.
func TestFullDisk(t *testing.T) {
	s := store(t)
	put(t, s, 1)
	size := int64(0)
	for _, b := range contents(t, s.Dir(1)) {
		size += int64(len(b))
	}
	worked := 0
	for n := int64(0); n <= size+64; n += 29 {
		s := store(t)
		s.FS = disktest.New(s.FS)
		put(t, s, 1)
		f := onDisk(s)
		f.Full(n)
		w := s.NewWriter()
		start(w, 2, nil)
		saved := w.Wait()
		want := 1
		if len(saved) == 1 && saved[0].Err == nil {
			worked++
			want = 2
		} else if len(saved) != 1 || saved[0].Dir != "" || !errors.Is(saved[0].Err, syscall.ENOSPC) {
			t.Fatalf("%d bytes free: %+v", n, saved)
		}
		if n >= size != (want == 2) {
			t.Errorf("%d bytes free of %d that are needed: %+v", n, size, saved)
		}
		if step, skipped := latest(t, fresh(s)); step != want || skipped != 0 {
			t.Fatalf("%d bytes free: step %d is used, %d passed over", n, step, skipped)
		}
		if left := names(t, s); strings.Contains(left, ".tmp-") {
			t.Errorf("%d bytes free: left: %s", n, left)
		}
		f.Heal()
		start(w, 3, nil)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if step, _ := latest(t, fresh(s)); step != 3 {
			t.Errorf("with room again: step %d", step)
		}
	}
	if worked == 0 {
		t.Error("it never worked")
	}
}
