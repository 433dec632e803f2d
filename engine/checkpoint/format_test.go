package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"attune/internal/disk"
)

// The run of testdata was killed when checkpoints were of format 1.
func TestFormat1(t *testing.T) {
	s := &Store{FS: disk.OS(), Root: filepath.FromSlash("testdata/format-1/run/checkpoints")}
	c, skipped, err := s.Latest()
	if err != nil || len(skipped) > 0 {
		t.Fatal(skipped, err)
	}
	defer c.Close()
	if c.Format != 1 || c.Step != 8 || c.Updates != 8 || c.Total != 24 || c.BestStep != 3 || c.BadEvals != 1 || *c.FirstLoss != 5.539908599853516 ||
		len(c.Identity) != 7 || c.Random != (Random{Order: 1, Dropout: 1}) || c.Made != (Made{}) || c.Recipe != "" || c.Guard != nil {
		t.Errorf("%+v", c.State)
	}
	const a = "model.layers.0.self_attn.q_proj.lora_A.weight"
	if x, ok := c.Weights.Info(a); !ok || !reflect.DeepEqual(x.Shape, []int{4, 16}) || len(c.Optimizer.Tensors()) != 2*len(c.Weights.Tensors()) {
		t.Errorf("%v, %v", c.Weights.Tensors(), c.Optimizer.Tensors())
	}
	// what was read of format 1 is saved as today's
	to := store(t)
	if err := save(to, c.State, tensors(8), tensors(9)); err != nil {
		t.Fatal(err)
	}
	again, err := fresh(to).Open(8)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Format != Format || again.Updates != 8 || !reflect.DeepEqual(again.Identity, c.Identity) {
		t.Errorf("%+v", again.State)
	}
}

// Format 1 has hashes of the tensors, not of what names them.
func TestFormat1Damaged(t *testing.T) {
	for _, name := range []string{weightsName, optimizerName} {
		s := store(t)
		if err := os.CopyFS(s.Root, os.DirFS(filepath.FromSlash("testdata/format-1/run/checkpoints"))); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(s.Dir(8), name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1
		overwrite(t, path, b)
		c, skipped, err := s.Latest()
		if err != nil || len(skipped) != 1 || !errors.Is(skipped[0], ErrCorrupt) || c.Step != 7 {
			t.Fatalf("%s: %v, %v, %v", name, c, skipped, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// edited is the newest checkpoint with another state.json, whose hash is right.
func edited(t *testing.T, from, to string) *Store {
	t.Helper()
	s := store(t)
	put(t, s, 1, 2)
	path := filepath.Join(s.Dir(2), stateName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), from, to, 1)
	if text == string(b) {
		t.Fatalf("%s has no %s", path, from)
	}
	overwrite(t, path, []byte(text))
	sumsPath := filepath.Join(s.Dir(2), sumsName)
	old, err := os.ReadFile(sumsPath)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, sumsPath, []byte(strings.Replace(string(old), hashOf(b), hashOf([]byte(text)), 1)))
	return fresh(s)
}

// What a later version of attune wrote is refused by its name, and not passed over for an older checkpoint: its files may
// have other names and other hashes.
func TestLaterVersionsAreRefusedByName(t *testing.T) {
	for _, x := range []struct{ from, to, says string }{
		{`"format": 2`, `"format": 3`, "format 3; this version of attune reads formats 1 to 2"},
		{`"format": 2,`, `"format": 99, "step": {"of": "another kind"},`, "format 99"},
		{`"order": 1`, `"order": 2`, "version 2 of the order of rows; this version of attune has 1"},
		{`"order": 1`, `"order": 0`, "version 0 of the order"},
		{`"dropout": 1`, `"dropout": 2`, "version 2 of dropout; this version of attune has 1"},
	} {
		s := edited(t, x.from, x.to)
		c, skipped, err := s.Latest()
		if c != nil || len(skipped) > 0 || err == nil || errors.Is(err, ErrCorrupt) {
			t.Fatalf("%s: %v, %v, %v", x.to, c, skipped, err)
		}
		for _, w := range []string{s.Dir(2), x.says, "resume with the version that wrote it"} {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", x.to, w, err)
			}
		}
	}
	s := edited(t, `"format": 2`, `"format": 3`)
	for _, name := range []string{sumsName, weightsName} {
		if err := os.Remove(filepath.Join(s.Dir(2), name)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Latest(); err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "format 3") {
			t.Errorf("format 3 without %s: %v", name, err)
		}
	}
}

// A state that contradicts itself or its name is not used, though its hash is right.
func TestStatesThatCannotBe(t *testing.T) {
	for from, to := range map[string]string{
		`"format": 2`: `"format": 0`, `"format": 2,`: ``, `"step": 2`: `"step": 5`, `"updates": 2`: `"updates": 3`, `"updates": 2,`: `"updates": -1,`, `"total": 99`: `"total": "x"`,
		`"losses": [`: `"losses": [0,`, `"interventions": 1`: `"interventions": 0`, `"from": 1`: `"from": 0`, `"to": 1`: `"to": 0`,
	} {
		if step, skipped := latest(t, edited(t, from, to)); step != 1 || skipped != 1 {
			t.Errorf("%s: step %d is used, %d passed over", to, step, skipped)
		}
	}
}
