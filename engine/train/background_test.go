package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// saved collects what a run reports of its checkpoints.
func saved(r *Run) *[]Saved {
	var list []Saved
	r.Events.OnSave = func(s Saved) error { list = append(list, s); return nil }
	return &list
}

// While a checkpoint is being written the next steps are taken, and the next one that is due waits for it.
func TestStepsGoOnWhileACheckpointIsWritten(t *testing.T) {
	patience, cancel := context.WithTimeout(t.Context(), time.Minute) // of a test that would hang otherwise
	defer cancel()
	r := newRun(t, Options{SaveEvery: 6, Store: store(t.TempDir(), 9), Snapshot: true})
	list, release, asked := saved(r), make(chan struct{}), []int(nil)
	r.Events.BeforeSave = func(step int) error {
		asked = append(asked, step)
		if step == 6 {
			select {
			case <-release:
			case <-patience.Done():
				return patience.Err()
			}
		}
		return nil
	}
	r.Events.OnStep = func(s Step, _ int) error {
		if s.Step == 11 {
			if len(*list) > 0 {
				t.Errorf("told of %+v while the first one is held", *list)
			}
			close(release)
		}
		return nil
	}
	mustTrain(t, r)
	if want := []int{6, 12, 18, steps}; !reflect.DeepEqual(asked, want) {
		t.Errorf("began to write %v, want %v", asked, want)
	}
	for i, s := range *list {
		if s.Err != nil || s.Left != nil || s.Step != asked[i] || s.Dir != r.Store.Dir(s.Step) || s.Stands != s.Step || s.Last != (s.Step == steps) || s.Bytes == 0 || s.Held <= 0 || s.Waited > s.Held {
			t.Errorf("%+v", s)
		}
	}
	if len(*list) != len(asked) {
		t.Errorf("told of %d checkpoints, %d were written", len(*list), len(asked))
	}
}

// A checkpoint that is written in the background is that of its step, to the byte, whatever the steps behind it do meanwhile.
func TestBackgroundIsForeground(t *testing.T) {
	var runs [2]*Run
	for i := range runs {
		runs[i] = newRun(t, Options{EvalEvery: 5, SaveEvery: 3, LoadBest: true, Store: store(t.TempDir(), 99), Snapshot: i == 1})
		mustTrain(t, runs[i])
	}
	fore, back := runs[0], runs[1]
	if !reflect.DeepEqual(weights(t, fore), weights(t, back)) {
		t.Error("the runs end with other weights")
	}
	entries, err := os.ReadDir(fore.Store.Root)
	if err != nil || len(entries) < steps/3 {
		t.Fatalf("%d checkpoints, %v", len(entries), err)
	}
	if other, err := os.ReadDir(back.Store.Root); err != nil || len(other) != len(entries) {
		t.Errorf("%d checkpoints in the background, %d in the foreground, %v", len(other), len(entries), err)
	}
	for _, e := range entries {
		for _, name := range []string{"weights.safetensors", "optimizer.safetensors"} {
			a, errA := os.ReadFile(filepath.Join(fore.Store.Root, e.Name(), name))
			b, errB := os.ReadFile(filepath.Join(back.Store.Root, e.Name(), name))
			if err := errors.Join(errA, errB); err != nil || !slices.Equal(a, b) {
				t.Errorf("%s of %s differs, %v", name, e.Name(), err)
			}
		}
	}
}

// A checkpoint that cannot be written costs the run that one: it is told with the one that stands, training goes on, and the
// next one that is due is another try. Only of the state at the end the result says it.
func TestNotWritten(t *testing.T) {
	full := errors.New("no space left on device")
	whole := newRun(t, Options{EvalEvery: 5})
	mustTrain(t, whole)
	for name, c := range map[string]struct {
		bad  []int // steps whose checkpoints fail
		from int   // where the newest is, 0 = there is none
	}{
		"one of them":   {[]int{6}, steps},
		"the first":     {[]int{6, 12}, steps},
		"the last":      {[]int{steps}, 18},
		"from there on": {[]int{12, 18, steps}, 6},
		"all":           {[]int{6, 12, 18, steps}, 0},
	} {
		for _, background := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", background"}[background], func(t *testing.T) {
				o := Options{EvalEvery: 5, SaveEvery: 6, Store: store(t.TempDir(), 1), Snapshot: background}
				r := newRun(t, o)
				list := saved(r)
				r.Events.BeforeSave = func(step int) error {
					if slices.Contains(c.bad, step) {
						return full
					}
					return nil
				}
				res := mustTrain(t, r)
				if !reflect.DeepEqual(weights(t, r), weights(t, whole)) {
					t.Error("other weights than those of a run that could write all")
				}
				stands := -1
				for i, s := range *list {
					bad := slices.Contains(c.bad, s.Step)
					if !bad {
						stands = s.Step
					}
					if s.Step != 6*(i+1) || errors.Is(s.Err, full) != bad || s.Stands != stands || s.Last != (s.Step == steps) {
						t.Errorf("%+v, want that of step %d to stand", s, stands)
					}
				}
				if lost := c.from != steps; len(*list) != 4 || (res.NotSaved != nil) != lost || lost && !errors.Is(res.NotSaved, full) {
					t.Errorf("%d checkpoints, not saved: %v", len(*list), res.NotSaved)
				}
				if c.from == 0 {
					return
				}
				again := newRun(t, o)
				goOn(t, again)
				if again.Done() != c.from {
					t.Errorf("goes on from step %d, want %d", again.Done(), c.from)
				}
				if res := mustTrain(t, again); res.NotSaved != nil || !reflect.DeepEqual(weights(t, again), weights(t, whole)) {
					t.Errorf("resumed, it ends with other weights, or %v", res.NotSaved)
				}
			})
		}
	}
}

// A run that is asked to stop behind a step whose checkpoint then fails to be written tries once more, and waits for it.
func TestLastTry(t *testing.T) {
	for _, times := range []int{1, 2} {
		o := Options{SaveEvery: 6, Store: store(t.TempDir(), 1), Snapshot: true}
		r := newRun(t, o)
		list, tries := saved(r), 0
		full := errors.New("no space left on device")
		r.Events.BeforeSave = func(step int) error {
			if step == 12 {
				if tries++; tries <= times {
					return full
				}
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r.Events.OnStep = func(s Step, _ int) error {
			if s.Step == 12 {
				cancel()
			}
			return nil
		}
		res, err := r.Train(ctx, t.Context())
		if err != nil || !res.Interrupted || tries != 2 || len(*list) != 3 || !(*list)[2].Last {
			t.Fatalf("%+v, %v, %d tries, %+v", res, err, tries, *list)
		}
		want := 12
		if times == 2 {
			want = 6
			if !errors.Is(res.NotSaved, full) {
				t.Errorf("not saved: %v", res.NotSaved)
			}
		} else if res.NotSaved != nil {
			t.Errorf("saved at last, but: %v", res.NotSaved)
		}
		again := newRun(t, o)
		goOn(t, again)
		if again.Done() != want {
			t.Errorf("goes on from step %d, want %d", again.Done(), want)
		}
	}
}

// A best state whose checkpoint was not written cannot be gone back to: the run ends with the last one and says so.
func TestBestStateIsNotWritten(t *testing.T) {
	r := newRun(t, Options{EvalEvery: 4, LoadBest: true, Store: store(t.TempDir(), 1), Snapshot: true})
	bestAt8(r)
	r.Events.BeforeSave = func(step int) error {
		if step == 8 {
			return errors.New("no space left on device")
		}
		return nil
	}
	if res := mustTrain(t, r); res.BestStep != 8 || res.LoadedBest || res.BestDamaged == nil || res.Trained.Steps != steps || res.NotSaved != nil {
		t.Errorf("%+v", res)
	}
}

// A checkpoint of the best step that another part of the run left there, one whose steps were lost, is not the best state.
func TestBestStateOfALostPart(t *testing.T) {
	o := Options{EvalEvery: 4, LoadBest: true, Store: store(t.TempDir(), 99), Snapshot: true}
	lost := newRun(t, o)
	lost.Schedule.LearningRate /= 2
	mustTrain(t, lost)
	r := newRun(t, o) // which does not know of it
	bestAt8(r)
	r.Events.BeforeSave = func(step int) error {
		if step == 8 {
			return errors.New("no space left on device")
		}
		return nil
	}
	if res := mustTrain(t, r); res.BestStep != 8 || res.LoadedBest || res.BestDamaged == nil || !strings.Contains(res.BestDamaged.Error(), "step-000008") || res.Trained.Steps != steps {
		t.Errorf("%+v", res)
	}
}

// A run that fails ends behind the write under way: nothing of its checkpoint is lost.
func TestFailedRunFinishesItsCheckpoint(t *testing.T) {
	broken := errors.New("broken")
	r := newRun(t, Options{SaveEvery: 6, Store: store(t.TempDir(), 1), Snapshot: true})
	list := saved(r)
	r.Events.OnStep = func(s Step, _ int) error {
		if s.Step == 7 {
			return broken
		}
		return nil
	}
	if _, err := r.Train(t.Context(), t.Context()); !errors.Is(err, broken) {
		t.Error(err)
	}
	if len(*list) != 1 || (*list)[0].Err != nil {
		t.Errorf("%+v", *list)
	}
	again := newRun(t, r.Options)
	goOn(t, again)
	if again.Done() != 6 {
		t.Errorf("goes on from step %d", again.Done())
	}
}
