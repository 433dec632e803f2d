package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"attune/internal/disk"
	"attune/internal/safetensors"
)

func tensors(x byte) []safetensors.Tensor {
	return []safetensors.Tensor{{Name: "w", Dtype: "F32", Shape: []int{2}, Data: bytes.Repeat([]byte{x}, 8)}}
}

// store is the checkpoints of a run in a directory of the test's.
func store(t testing.TB) *Store {
	return &Store{FS: disk.OS(), Root: filepath.Join(t.TempDir(), "checkpoints"), Keep: 2}
}

// stateOf is a state with every field set.
func stateOf(step int) State {
	first, best, last := 0.75, 0.5, 0.625
	return State{Step: step, Updates: step, Total: 99, Tokens: 1000, TrainedTokens: 300, Seconds: 1.5, FirstLoss: &first, BestStep: 1, BestLoss: &best,
		BadEvals: 2, EvalLoss: &last, EvalDue: true, Stopped: "no better loss", Identity: map[string]string{"model": "abc", "recipe": "def"},
		Guard:  &GuardState{Losses: []float64{0.1, 0.2}, Norms: []float64{1, 2}, Skipped: []Span{{From: 1, To: 1, Why: "spike z 9.1"}}, Interventions: 1},
		Random: Random{Seed: 7}, Recipe: "train:\n  steps: 99\n",
		Made: Made{Attune: "v1", Device: "cpu", ISA: "avx512", Threads: 2, MicroBatchTokens: 128}}
}

// save writes a checkpoint and leaves all others.
func save(s *Store, st State, weights, optimizer []safetensors.Tensor) error {
	state, err := encodeState(st)
	if err == nil {
		_, _, err = s.save(st.Step, state, weights, optimizer)
	}
	return err
}

func put(t testing.TB, s *Store, steps ...int) {
	t.Helper()
	for _, step := range steps {
		if err := save(s, stateOf(step), tensors(byte(step)), tensors(9)); err != nil {
			t.Fatal(err)
		}
	}
}

// fresh is the same checkpoints as another process sees them.
func fresh(s *Store) *Store {
	return &Store{FS: s.FS, Root: s.Root, Keep: s.Keep, KeepEvery: s.KeepEvery}
}

// latest is the step of the newest whole checkpoint, whose bytes are compared, and the number of those passed over.
func latest(t testing.TB, s *Store) (step, skipped int) {
	t.Helper()
	c, bad, err := s.Latest()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range bad {
		if !errors.Is(e, ErrCorrupt) || len(e.Error()) > 4<<10 {
			t.Errorf("not marked as corrupt, or long: %v", e)
		}
	}
	if c == nil {
		return 0, len(bad)
	}
	wantWhole(t, c)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return c.Step, len(bad)
}

// wantWhole compares all that put saved.
func wantWhole(t testing.TB, c *Checkpoint) {
	t.Helper()
	want := stateOf(c.Step)
	want.Format, want.Random.Order, want.Random.Dropout = Format, orderScheme, dropoutScheme
	if !reflect.DeepEqual(c.State, want) {
		t.Errorf("step %d: %+v, want %+v", c.Step, c.State, want)
	}
	if got := c.Weights.Data("w"); !bytes.Equal(got, tensors(byte(c.Step))[0].Data) {
		t.Errorf("step %d has weights %v", c.Step, got)
	}
	if got := c.Optimizer.Data("w"); !bytes.Equal(got, tensors(9)[0].Data) {
		t.Errorf("step %d has moments %v", c.Step, got)
	}
}

func TestSaveAndReadBack(t *testing.T) {
	s := store(t)
	if step, _ := latest(t, s); step != 0 {
		t.Error("found a checkpoint where there is none")
	}
	put(t, s, 3, 12, 12, 1234567)
	if step, skipped := latest(t, fresh(s)); step != 1234567 || skipped != 0 {
		t.Errorf("latest is %d, %d passed over", step, skipped)
	}
	c, err := fresh(s).Open(3)
	if err != nil {
		t.Fatal(err)
	}
	wantWhole(t, c)
	if c.Dir != s.Dir(3) {
		t.Errorf("%s, want %s", c.Dir, s.Dir(3))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// What attune calls whole, coreutils do, and the other way round.
func TestSha256sumAgrees(t *testing.T) {
	program, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("needs sha256sum")
	}
	s := store(t)
	put(t, s, 1)
	check := func() error {
		cmd := exec.Command(program, "--check", "--strict", sumsName)
		cmd.Dir = s.Dir(1)
		out, err := cmd.CombinedOutput()
		if err == nil && strings.Count(string(out), ": OK\n") != 3 {
			t.Errorf("not every file was checked:\n%s", out)
		}
		return err
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{stateName, weightsName, optimizerName} {
		path := filepath.Join(s.Dir(1), name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		overwrite(t, path, b)
		if check() == nil {
			t.Errorf("%s was changed, and sha256sum does not see it", name)
		}
		if _, err := s.Open(1); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s was changed: %v", name, err)
		}
		b[len(b)/2] ^= 1
		overwrite(t, path, b)
	}
}

func overwrite(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A run is not started over because all its checkpoints are damaged: the error names each.
func TestAllDamagedIsAnError(t *testing.T) {
	s := store(t)
	put(t, s, 1, 2)
	for step := 1; step <= 2; step++ {
		if err := os.Remove(filepath.Join(s.Dir(step), weightsName)); err != nil {
			t.Fatal(err)
		}
	}
	c, skipped, err := s.Latest()
	if c != nil || len(skipped) != 2 || !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%v, %v, %v", c, skipped, err)
	}
	for _, w := range []string{s.Dir(1), s.Dir(2), "start over"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in %v", w, err)
		}
	}
}

// What cannot be read is not damaged: an older checkpoint does not stand in for it.
func TestUnreadableIsNotDamaged(t *testing.T) {
	for _, name := range []string{stateName, weightsName, optimizerName, sumsName} {
		s := store(t)
		put(t, s, 1, 2)
		path := filepath.Join(s.Dir(2), name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, path); err != nil { // to itself: even root cannot open it
			t.Fatal(err)
		}
		c, _, err := s.Latest()
		if c != nil || err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

// A directory that someone renamed does not count for another step than its own.
func TestAnotherStepsNameIsFound(t *testing.T) {
	s := store(t)
	put(t, s, 1, 2)
	if err := os.Rename(s.Dir(1), s.Dir(3)); err != nil {
		t.Fatal(err)
	}
	if step, skipped := latest(t, s); step != 2 || skipped != 1 {
		t.Errorf("step %d is used, %d passed over", step, skipped)
	}
}

// A state that could not be read again is not written.
func TestAStateOfMegabytesIsRefused(t *testing.T) {
	s := store(t)
	put(t, s, 1)
	big := stateOf(1)
	big.Recipe = strings.Repeat("x", maxState)
	if err := save(s, big, tensors(1), tensors(9)); err == nil || !strings.Contains(err.Error(), stateName) {
		t.Error(err)
	}
	if step, _ := latest(t, fresh(s)); step != 1 {
		t.Error("the one before it is gone")
	}
}
