package peft

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/nn"
	"attune/internal/disk"
	"attune/internal/disk/disktest"
	"attune/internal/wholedir"
)

// An adapter that is published over another is the old one or the new one, whatever goes wrong on the way.
func TestEveryFaultOfSave(t *testing.T) {
	weights := values(adapted(t, tiny(t), onQuery))
	save := func(note string) func(disk.FS) error {
		return func(d disk.FS) error {
			return Save(d, "adapter", onQuery, weights, Card{Recipe: note, Facts: []Fact{{"template_sha256", note}}, Files: map[string][]byte{"chat_template.jinja": []byte(note)}})
		}
	}
	var before, after map[string]string
	for note, into := range map[string]*map[string]string{"old": &before, "new": &after} {
		d := disktest.New(disk.OS())
		t.Chdir(t.TempDir())
		if err := save(note)(d); err != nil {
			t.Fatal(err)
		}
		*into = disktest.Files(t, d, "adapter")
	}
	if len(after) != 4 || maps.Equal(before, after) {
		t.Fatalf("%d files", len(after))
	}
	disktest.Every{Before: save("old"), Do: save("new"), Look: func(t *testing.T, d disk.FS, done bool) {
		got := disktest.Files(t, d, "adapter")
		if !maps.Equal(got, after) && (done || !maps.Equal(got, before)) {
			t.Errorf("done %v, and it is neither the old one nor the new", done)
		}
		if a, err := Load(d.Path("adapter")); err != nil {
			t.Error(err)
		} else if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := wholedir.Sweep(d, ".", ""); err != nil {
			t.Error(err)
		}
		if left, err := d.ReadDir("."); err != nil || len(left) != 1 {
			t.Errorf("left: %v, %v", left, err)
		}
	}}.Run(t)
}

// An adapter that is read while a run publishes another over it has config and weights of one of them.
func TestLoadWhileAnotherIsPublished(t *testing.T) {
	wide := onQuery
	wide.R, wide.Alpha = 2*onQuery.R, 2*onQuery.Alpha
	m, dir := tiny(t), filepath.Join(t.TempDir(), "adapter")
	b := map[int]*nn.Builder{onQuery.R: adapted(t, m, onQuery), wide.R: adapted(t, m, wide)}
	save := func(c Config) error { return Save(disktest.New(disk.OS()), dir, c, values(b[c.R]), Card{}) }
	if err := save(onQuery); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := errors.Join(save(wide), save(onQuery)); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 1000 {
		a, err := Load(dir)
		if err != nil {
			if strings.Contains(err.Error(), "replaced over and over") {
				continue
			}
			t.Fatal(err)
		}
		if err := errors.Join(a.Check(a.Config, b[a.Config.R].Params()), a.Close()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
