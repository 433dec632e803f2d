package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"attune/internal/config"
)

// folders makes directories below a new one, with the files named in them, and stands in the one named here.
func folders(t *testing.T, here string, files ...string) (base string) {
	t.Helper()
	base = t.TempDir()
	for _, f := range files {
		path := filepath.Join(base, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("{}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(base, here))
	return base
}

// The paths of the command line are those of the run file, wherever it is written to.
func TestInitPaths(t *testing.T) {
	for _, absolute := range []bool{false, true} {
		for _, file := range []string{"run.yaml", "sub/run.yaml", "../x/run.yaml", "../../run.yaml"} {
			base := folders(t, "a/here", "a/here/m/config.json", "a/here/rows.jsonl", "a/here/sub/empty", "a/x/held.jsonl")
			here := filepath.Join(base, "a", "here")
			if absolute {
				file = filepath.Join(here, file)
			}
			wantCode(t, exitOK, nil, "init", file, "--model", "m", "--train", "rows.jsonl", "--eval", "../x/held.jsonl", "--run-dir", "runs/one")
			c, err := config.Load(file, nil)
			if err != nil {
				t.Errorf("init %s: %v", file, err)
				continue
			}
			c.Absolute()
			want := []string{filepath.Join(here, "m"), filepath.Join(here, "rows.jsonl"), filepath.Join(base, "a", "x", "held.jsonl"), filepath.Join(here, "runs", "one")}
			if got := []string{c.Model, c.Data.Train[0].Path, c.Data.Eval[0].Path, c.RunDir}; !reflect.DeepEqual(got, want) {
				t.Errorf("init %s: %q, want %q", file, got, want)
			}
		}
	}
}

// Above a directory that one came to by a link is what lies above it, not above the link.
func TestInitBehindALink(t *testing.T) {
	base := folders(t, ".", "real/deep/m/config.json", "real/deep/rows.jsonl")
	if err := os.Symlink(filepath.Join("real", "deep"), "link"); err != nil {
		t.Skip("no links here: ", err)
	}
	t.Chdir(filepath.Join(base, "link"))
	wantCode(t, exitOK, nil, "init", "../run.yaml", "--model", "m", "--train", "rows.jsonl")
	if _, err := config.Load(filepath.Join(base, "real", "run.yaml"), nil); err != nil {
		t.Error(err)
	}
}

// What the head says of keys that are left out is true, and every line below it is explained.
func TestInitExplains(t *testing.T) {
	folders(t, ".", "m/config.json", "rows.jsonl", "held.jsonl")
	wantCode(t, exitOK, nil, "init", "--model", "m", "--train", "rows.jsonl", "--eval", "held.jsonl", "--run-dir", "out")
	raw, err := os.ReadFile("run.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, keys, _ := strings.Cut(string(raw), "\n\n")
	if !strings.Contains(head, "model, data.train and run_dir must be there and data.eval may be") {
		t.Errorf("the head is\n%s", head)
	}
	for line := range strings.Lines(keys) {
		if !strings.Contains(line, "  # ") {
			t.Errorf("not explained: %s", line)
		}
	}
	if err := os.WriteFile("few.yaml", []byte("model: m\ndata: {train: rows.jsonl, eval: held.jsonl}\nrun_dir: out\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := config.Load("run.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	few, err := config.Load("few.yaml", nil)
	if err != nil || !reflect.DeepEqual(all, few) {
		t.Errorf("with every key\n%+v\nwithout those that may be left out\n%+v, %v", all, few, err)
	}
}

// What `config show` prints means the same wherever it is saved.
func TestShownElsewhere(t *testing.T) {
	base := folders(t, "here", "run/m/config.json", "run/rows.jsonl", "run/sub/adapter/adapter_config.json", "here/empty", "other/deep/empty")
	file := filepath.Join("..", "run", "run.yaml")
	if err := os.WriteFile(file, []byte("model: m\ndata: {train: rows.jsonl, eval: ./rows.jsonl}\nrun_dir: out\ntemplate: own.jinja\nlora: {init_from: sub/adapter}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	want.Absolute()
	if dir := filepath.Join(base, "run"); want.Model != filepath.Join(dir, "m") {
		t.Fatalf("the model is %s, not in %s", want.Model, dir)
	}
	for _, as := range []struct{ name, flag string }{{"shown.yaml", "--json=false"}, {"shown.json", "--json"}} {
		shown := wantCode(t, exitOK, nil, "config", "show", "-c", file, as.flag).stdout
		path := filepath.Join(base, "other", "deep", as.name)
		if err := os.WriteFile(path, []byte(shown), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := config.Load(path, nil); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%s", as.name, err, shown)
		}
	}
}
