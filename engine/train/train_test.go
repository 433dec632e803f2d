package train

import (
	"bytes"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"attune/data"
	"attune/data/loader"
	"attune/engine/checkpoint"
	"attune/engine/model"
	"attune/engine/optim"
	"attune/engine/session"
	"attune/internal/disk"
	"attune/internal/disk/disktest"
	"attune/kernels"
)

// count are examples that count up by one, each from another id and of another length; all but the first two ids are
// trained. What comes next follows from the last id, so a tiny model learns it in some steps.
func count(n int) []data.Example {
	es := make([]data.Example, n)
	for i := range es {
		e := data.Example{IDs: make([]int32, 6+7*i%23), Weights: make([]float32, 6+7*i%23)}
		for k := range e.IDs {
			e.IDs[k] = int32(100 + (5*i+k)%20)
			if k > 1 {
				e.Weights[k] = 1
			}
		}
		es[i] = e
	}
	return es
}

// held packs examples as the held-out rows of a run, several rows of them.
func held(es []data.Example) iter.Seq2[data.Batch, error] {
	return loader.NewHeld([]*loader.Set{loader.SetOf(es)}, 64, 0).Batches()
}

const steps = 24

// store keeps checkpoints in a directory.
func store(dir string, keep int) *checkpoint.Store {
	return &checkpoint.Store{FS: disk.OS(), Root: dir, Keep: keep}
}

// newRun is a run of steps over 30 examples, four a step, of a tiny model all of whose weights are trained. The same
// options give the same run.
func newRun(t *testing.T, o Options) *Run {
	t.Helper()
	device, err := session.OpenDevice("cpu", 1)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, device.Close)
	return newRunOn(t, device, o)
}

// newRunOn is newRun on a device.
func newRunOn(t *testing.T, device *session.Device, o Options) *Run {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.New(disktest.New(disk.OS()), dir, model.NewOptions{HiddenSize: 32, NumHiddenLayers: 1, Seed: 5}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, m.Close)
	s, err := session.New(session.Options{Device: device, Model: m, Dtype: kernels.Float32, Trained: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s.Close)
	if err := s.Place(); err != nil {
		t.Fatal(err)
	}
	var params []optim.Param
	for _, p := range s.Params() {
		params = append(params, optim.Param{Name: p.Name, Value: s.Value(p.Name)})
	}
	adam, err := optim.NewAdamW(device, params, optim.Options{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, MaxGradNorm: 1})
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, adam.Close)
	if err := s.BindGradients(adam.Grad); err != nil {
		t.Fatal(err)
	}
	l, err := loader.New([]loader.Source{{Name: "count", Set: loader.SetOf(count(30)), Weight: 1, Repeat: 1}},
		loader.Options{ExamplesPerStep: 4, Steps: steps, Shuffle: true, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	if o.Schedule == (optim.Schedule{}) {
		o.Schedule = optim.Schedule{Name: optim.Cosine, LearningRate: 0.02, Warmup: 3, Steps: steps}
	}
	o.MicroTokens = 64
	return &Run{Options: o, Session: s, Optimizer: adam, Data: l, Eval: held(count(12))}
}

func closeAtEnd(t *testing.T, closes func() error) {
	t.Cleanup(func() {
		if err := closes(); err != nil {
			t.Error(err)
		}
	})
}

// mustTrain ends a run.
func mustTrain(t *testing.T, r *Run) Result {
	t.Helper()
	res, err := r.Train(t.Context(), t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// weights is a copy of what is trained, by name.
func weights(t *testing.T, r *Run) map[string][]byte {
	t.Helper()
	ts, err := r.Session.Trained()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string][]byte{}
	for _, x := range ts {
		m[x.Name] = bytes.Clone(x.Data)
	}
	return m
}

// told collects what a run reports.
type told struct {
	steps []Step
	evals []Evaluation
}

func (l *told) to(r *Run) {
	r.Events.OnStep = func(s Step, _ int) error { l.steps = append(l.steps, s); return nil }
	r.Events.OnEval = func(e Evaluation) error { l.evals = append(l.evals, e); return nil }
}

// The loss falls, and every step is what schedule and loader say it is.
func TestTrain(t *testing.T) {
	r := newRun(t, Options{EvalEvery: 10})
	var l told
	l.to(r)
	res := mustTrain(t, r)
	if len(l.steps) != steps || res.Steps != steps || r.Done() != steps {
		t.Fatalf("%d steps were told of, %d done", len(l.steps), res.Steps)
	}
	var tokens, trained int64
	for i, s := range l.steps {
		examples, epoch, err := r.Data.Step(i)
		if err != nil {
			t.Fatal(err)
		}
		want := Step{Step: i + 1, Epoch: epoch, LearningRate: r.Schedule.LR(i)}
		for _, e := range examples {
			want.Tokens += len(e.IDs)
			want.TrainedTokens += len(e.IDs) - 2
		}
		if s.Step != want.Step || s.Epoch != want.Epoch || s.LearningRate != want.LearningRate || s.Tokens != want.Tokens || s.TrainedTokens != want.TrainedTokens {
			t.Errorf("step %d: %+v, want %+v", i+1, s, want)
		}
		if s.PaddedTokens < s.Tokens || s.PaddedTokens != 64*s.MicroBatches || !(s.Loss > 0) || !(s.GradNorm > 0) {
			t.Errorf("step %d: %+v", i+1, s)
		}
		tokens, trained = tokens+int64(s.Tokens), trained+int64(s.TrainedTokens)
	}
	if l.steps[7].Epoch != 0 || l.steps[8].Epoch != 1 { // 30 examples are 7 steps of 4 and one of 2
		t.Errorf("the first epoch ends elsewhere: %+v, %+v", l.steps[7], l.steps[8])
	}
	if res.Tokens != tokens || res.TrainedTokens != trained || res.Trained.Steps != steps || res.Trained.TrainedTokens != trained {
		t.Errorf("%+v, the steps have %d tokens, %d of them trained", res, tokens, trained)
	}
	var at []int
	for _, e := range l.evals {
		at = append(at, e.Step)
	}
	if !reflect.DeepEqual(at, []int{0, 10, 20, steps}) {
		t.Fatalf("evaluated after %v", at)
	}
	first, last := l.evals[0].EvalLoss, l.evals[3].EvalLoss
	if *res.FirstEval != first || *res.LastEval != last || res.BestStep != steps {
		t.Errorf("%+v, evaluations %+v", res, l.evals)
	}
	// 256 bytes and three specials are as likely as each other at first; who can count knows the next
	if first < 5 || last > 0.5 || l.steps[steps-1].Loss > 0.5 {
		t.Errorf("eval loss %.3f -> %.3f, loss of the last step %.3f", first, last, l.steps[steps-1].Loss)
	}
}

// A run stops after so many evaluations that are not better than the best by the threshold, and stays stopped.
func TestEarlyStopping(t *testing.T) {
	for _, c := range []struct {
		threshold float64
		stops     int
	}{{100, 6}, {0, steps}} {
		r := newRun(t, Options{EvalEvery: 2, Patience: 3, Threshold: c.threshold, Store: store(t.TempDir(), 1)})
		var l told
		l.to(r)
		res := mustTrain(t, r)
		if stopped := c.stops < steps; res.Steps != c.stops || res.EarlyStopped != stopped || len(l.steps) != c.stops || res.Interrupted {
			t.Errorf("threshold %g: %+v, want %d steps", c.threshold, res, c.stops)
		}
		resumed := newRun(t, r.Options)
		goOn(t, resumed)
		var after told
		after.to(resumed)
		if again := mustTrain(t, resumed); again.Steps != res.Steps || again.EarlyStopped != res.EarlyStopped || len(after.steps)+len(after.evals) > 0 {
			t.Errorf("threshold %g: resumed, it ended with %+v after %+v", c.threshold, again, after)
		}
	}
}

// bestAt8 has a run evaluated every four steps be best at step 8: from step 12 on the held-out rows ask for what is not
// taught.
func bestAt8(r *Run) {
	easy, hard := r.Eval, count(12)
	for _, e := range hard {
		for k := range e.IDs {
			e.IDs[k] = int32(50 + k*k%11)
		}
	}
	r.Eval = func(yield func(data.Batch, error) bool) {
		if r.Done() < 12 {
			easy(yield)
		} else {
			held(hard)(yield)
		}
	}
}

// The best evaluated weights are those that a run ends with where it is asked to; the last ones where it is not.
func TestBestStateIsLoaded(t *testing.T) {
	for _, best := range []bool{true, false} {
		r := newRun(t, Options{EvalEvery: 4, LoadBest: best, SaveEvery: 6, Store: store(t.TempDir(), 1)})
		bestAt8(r)
		at, loss := map[int]map[string][]byte{}, map[int]float64{}
		r.Events.OnEval = func(e Evaluation) error {
			at[e.Step], loss[e.Step] = weights(t, r), e.EvalLoss
			return nil
		}
		res := mustTrain(t, r)
		if res.BestStep != 8 || res.LoadedBest != best || res.NoneBetter || res.Steps != steps {
			t.Fatalf("%+v", res)
		}
		is := steps
		if best {
			is = 8
		}
		if res.Trained.Steps != is || *res.Trained.Eval != loss[is] || !reflect.DeepEqual(weights(t, r), at[is]) {
			t.Errorf("load best %t: the weights are not those of step %d, %+v", best, is, res)
		}
		if reflect.DeepEqual(at[8], at[steps]) {
			t.Error("nothing was trained after the best state")
		}
	}
}

// A loss of the held-out rows that is no number ends the run with its cure, and no state of it is saved.
func TestEvaluationIsNotANumber(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, Options{EvalEvery: 1, SaveEvery: 1, Store: store(dir, 1), Schedule: optim.Schedule{Name: optim.Constant, LearningRate: 1e39, Steps: steps}})
	var l told
	l.to(r)
	_, err := r.Train(t.Context(), t.Context())
	if !errors.Is(err, optim.ErrNonFinite) || !strings.Contains(err.Error(), "evaluate after step 1: the loss is ") || !strings.Contains(err.Error(), "train.learning_rate") {
		t.Errorf("got %v", err)
	}
	if len(l.steps) != 1 || len(l.evals) != 1 {
		t.Errorf("told of %+v", l)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("saved %v (%v)", entries, err)
	}
}
