package samerun

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tensorFile has two tensors of float32, a (2) and b (2, 2).
func tensorFile(v [6]float32) string {
	header := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]}}`
	b := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return string(b)
}

// lay writes files into a new directory.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheckpoints(t *testing.T) {
	v := [6]float32{1, 2, 3, 4, 5, 6}
	w := v
	w[4], w[5] = 5.5, float32(math.Nextafter32(6, 7))
	negative := [6]float32{0, 2, 3, 4, 5, 6}
	zero := negative
	negative[0] = float32(math.Copysign(0, -1))
	state := `{"step": 4, "best_loss": 0.5, "seconds": 1.5, "made": {"threads": 1}, "identity": {"data": "aa"}}`
	for name, c := range map[string]struct {
		want, got string // tensors
		state     string
		words     []string // of the differences; none = the same
	}{
		"same":             {tensorFile(v), tensorFile(v), strings.NewReplacer("1.5", "2.5", `"threads": 1`, `"threads": 2`).Replace(state), nil},
		"an element":       {tensorFile(v), tensorFile(w), state, []string{"w.safetensors: b: element 2 of 4 is 5.5 (0x40b00000), 5 (0x40a00000) was expected; 2 elements differ"}},
		"minus zero":       {tensorFile(zero), tensorFile(negative), state, []string{"a: element 0 of 2 is -0 (0x80000000), 0 (0x00000000) was expected; 1 elements differ"}},
		"the best loss":    {tensorFile(v), tensorFile(v), strings.Replace(state, "0.5", "0.25", 1), []string{"best_loss is 0.25, 0.5 was expected"}},
		"what it is of":    {tensorFile(v), tensorFile(v), strings.Replace(state, "aa", "ab", 1), []string{`identity.data is "ab", "aa" was expected`}},
		"a key is missing": {tensorFile(v), tensorFile(v), strings.Replace(state, "best_loss", "other", 1), []string{"best_loss is not there, 0.5 was expected", "other is 0.5"}},
		"another shape": {tensorFile(v), strings.Replace(tensorFile(v), "[2,2]", "[4]  ", 1), state,
			[]string{"b is F32 [4], F32 [2 2] was expected"}},
	} {
		t.Run(name, func(t *testing.T) {
			if fixed := int(binary.LittleEndian.Uint64([]byte(c.got))); len(c.got) != 8+fixed+24 {
				t.Fatal("the case's header is not as long as it says")
			}
			list, err := checkpoints(lay(t, map[string]string{"w.safetensors": c.want, "state.json": state}), lay(t, map[string]string{"w.safetensors": c.got, "state.json": c.state}))
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != len(c.words) {
				t.Fatalf("%d differences, want %d: %q", len(list), len(c.words), list)
			}
			for i, word := range c.words {
				if !strings.Contains(list[i], word) {
					t.Errorf("%q is not in %q", word, list[i])
				}
			}
		})
	}
}

func TestProducts(t *testing.T) {
	v := [6]float32{1, 2, 3, 4, 5, 6}
	want := map[string]string{"model.safetensors": tensorFile(v), "config.json": "{}", "README.md": "threads: 1", "sub/x": "1"}
	same := map[string]string{"model.safetensors": tensorFile(v), "config.json": "{}", "README.md": "threads: 2", "sub/x": "1"}
	other := map[string]string{"model.safetensors": tensorFile(v), "config.json": "[]", "more": ""}
	dir := lay(t, want)
	if list, err := products(dir, lay(t, same)); err != nil || len(list) > 0 {
		t.Errorf("%v %q", err, list)
	}
	list, err := products(dir, lay(t, other))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"config.json", "more is there in", "README.md is missing", filepath.Join("sub", "x") + " is missing"} {
		if !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, word) }) {
			t.Errorf("%q is not in %q", word, list)
		}
	}
}

func TestMetrics(t *testing.T) {
	line := func(step int, loss, seconds float64) string {
		return fmt.Sprintf(`{"step":%d,"loss":%g,"seconds":%g,"tokens_per_second":%g}`+"\n", step, loss, seconds, 1/seconds)
	}
	whole := line(1, 2.5, 0.1) + line(2, 2.25, 0.1) + line(3, 2, 0.1)
	for name, c := range map[string]struct{ got, word string }{
		"same":    {line(1, 2.5, 0.2) + line(2, 2.25, 0.3) + line(3, 2, 0.4), ""},
		"doubled": {line(1, 2.5, 0.1) + line(2, 2.25, 0.1) + line(2, 2.25, 0.1) + line(3, 2, 0.1), "line 3, of step 3: loss is 2.25, 2 was expected; step is 2"},
		"missing": {line(1, 2.5, 0.1) + line(3, 2, 0.1), "line 2, of step 2: loss"},
		"short":   {line(1, 2.5, 0.1) + line(2, 2.25, 0.1), "2 lines, 3 were expected"},
		"last":    {whole + line(3, 2, 0.1), "4 lines, 3 were expected"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := metrics(filepath.Join(lay(t, map[string]string{"m": whole}), "m"), filepath.Join(lay(t, map[string]string{"m": c.got}), "m"))
			if err != nil {
				t.Fatal(err)
			}
			if said := strings.Join(list, "\n"); (c.word == "") != (said == "") || !strings.Contains(said, c.word) {
				t.Errorf("%q, want %q", said, c.word)
			}
		})
	}
	dir := lay(t, map[string]string{"torn": whole[:len(whole)-3], "m": whole})
	if _, err := metrics(filepath.Join(dir, "m"), filepath.Join(dir, "torn")); err == nil {
		t.Error("a torn line is taken")
	}
}

// What one of two runs published or kept, and the other did not, is a difference.
func TestRuns(t *testing.T) {
	run := map[string]string{"metrics.jsonl": "{}\n", "checkpoints/step-000001/state.json": "{}", "model/config.json": "{}"}
	for name, word := range map[string]string{"model/config.json": "published", "checkpoints/step-000001/state.json": "step-000001: is not there"} {
		other := map[string]string{}
		for n, text := range run {
			if n != name {
				other[n] = text
			}
		}
		list, err := Runs(lay(t, run), lay(t, other))
		if err != nil || len(list) != 1 || !strings.Contains(list[0], word) {
			t.Errorf("without %s: %v %q", name, err, list)
		}
	}
	if list, err := Runs(lay(t, run), lay(t, run)); err != nil || len(list) > 0 {
		t.Errorf("%v %q", err, list)
	}
}
