package main

import (
	"errors"
	"os"
	"testing"

	"attune/internal/config"
	"attune/internal/disk"
	"attune/internal/disk/disktest"
)

// A record that the disk refused is written with the next checkpoint: neither of its files is left out.
func TestRecordIsTriedAgain(t *testing.T) {
	boom := errors.New("boom")
	for _, name := range []string{runYAML, runJSON} {
		path := t.TempDir()
		root, err := os.OpenRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = root.Close() })
		f := disktest.New(disk.In(root))
		f.When(func(op disktest.Op) bool { return op.Kind == "rename" && op.To == name }, disktest.Fail(boom))
		d := &runDir{path: path, fs: f}
		r := &record{dir: d, cfg: config.Default(), p: provenance{SHA256: map[string]string{"model": "abc"}}}
		if err := r.keep(0); !errors.Is(err, boom) {
			t.Errorf("%s: %v", name, err)
		}
		f.Heal()
		if err := r.keep(1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p, err := d.provenance(); err != nil || p.SHA256["model"] != "abc" {
			t.Errorf("%s: run.json has %v, %v", name, p, err)
		}
	}
}
