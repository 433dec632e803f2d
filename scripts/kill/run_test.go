package main

import (
	"os"
	"path/filepath"
	"testing"
)

// write makes a file and the directories above it.
func write(t *testing.T, text string, parts ...string) {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPhase(t *testing.T) {
	const began = `{"msg":"training"}` + "\n"
	for want, files := range map[string][]string{
		"reading":    {"log.jsonl"},
		"training":   {"log.jsonl", "checkpoints/step-000003/state.json"},
		"saving":     {"log.jsonl", "checkpoints/.step-000004.tmp-1/new/state.json"},
		"publishing": {"log.jsonl", ".adapter.tmp-7/new/adapter_config.json"},
	} {
		r := run{dir: t.TempDir()}
		for _, f := range files {
			write(t, began, r.dir, f)
		}
		logged := int64(0)
		if want == "reading" { // the line is that of the process before
			logged = int64(len(began))
		}
		if got := r.phase(logged); got != want {
			t.Errorf("%s is taken for %s", want, got)
		}
	}
}

// A run is compared in everything that it leaves.
func TestCompare(t *testing.T) {
	for what, change := range map[string][]string{
		"":            nil,
		"the product": {"{1}", "adapter", "adapter_config.json"},
		"a state":     {`{"step": 4}`, "checkpoints", "step-000003", "state.json"},
		"metrics":     {`{"step":1,"loss":2}` + "\n" + `{"step":1,"loss":2}` + "\n", "metrics.jsonl"},
		"rubbish":     {"", "checkpoints", ".step-000003.tmp-5"},
	} {
		whole, parted := t.TempDir(), t.TempDir()
		for _, dir := range []string{whole, parted} {
			write(t, "{}", dir, "adapter", "adapter_config.json")
			write(t, `{"step": 3, "seconds": 1}`, dir, "checkpoints", "step-000003", "state.json")
			write(t, `{"step":1,"loss":2}`+"\n", dir, "metrics.jsonl")
		}
		if change != nil {
			write(t, change[0], append([]string{parted}, change[1:]...)...)
		}
		r := run{lesson: &lesson{whole: whole}, dir: parted}
		if err := r.compare(); err != nil {
			t.Fatal(err)
		}
		if (len(r.differs) == 0) != (change == nil) {
			t.Errorf("%s changed: %q", what, r.differs)
		}
	}
}
