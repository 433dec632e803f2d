package model

import (
	"errors"
	"io/fs"
	"maps"
	"testing"

	"attune/internal/disk"
	"attune/internal/disk/disktest"
	"attune/internal/wholedir"
)

// A model is there whole or not at all, whatever goes wrong while it is made; one that is published over another is one
// of the two.
func TestEveryFaultOfSave(t *testing.T) {
	small := NewOptions{HiddenSize: 16, NumHiddenLayers: 1}
	ck, weights := fresh(t, small)
	save := func(note string) func(disk.FS) error {
		return func(d disk.FS) error {
			return Save(d, "model", ck, weights, map[string]string{"note": note}, func(in *wholedir.Dir) error { return in.WriteFile("README.md", []byte(note)) })
		}
	}
	made := func(do func(disk.FS) error) map[string]string {
		d := disktest.New(disk.OS())
		t.Chdir(t.TempDir())
		if err := do(d); err != nil {
			t.Fatal(err)
		}
		return disktest.Files(t, d, "model")
	}
	look := func(before, after map[string]string) func(*testing.T, disk.FS, bool) {
		return func(t *testing.T, d disk.FS, done bool) {
			got := disktest.Files(t, d, "model")
			if !maps.Equal(got, after) && (done || !maps.Equal(got, before)) {
				t.Errorf("done %v, and it is neither the old one nor the new", done)
			}
			if c, err := Open(d.Path("model")); err == nil {
				err = c.Close()
				if err != nil {
					t.Error(err)
				}
			} else if before != nil || done || !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			if err := wholedir.Sweep(d, ".", ""); err != nil {
				t.Error(err)
			}
			entries, err := d.ReadDir(".")
			if err != nil {
				t.Error(err)
			}
			for _, e := range entries {
				if e.Name() != "model" {
					t.Errorf("left: %s", e.Name())
				}
			}
		}
	}
	create := func(d disk.FS) error { return New(d, "model", small) }
	t.Run("new", disktest.Every{Do: create, Look: look(nil, made(create))}.Run)
	before, after := made(save("old")), made(save("new"))
	if _, ok := after["tokenizer.json"]; !ok || maps.Equal(before, after) {
		t.Fatalf("%d files", len(after))
	}
	t.Run("published", disktest.Every{Before: save("old"), Do: save("new"), Look: look(before, after)}.Run)
}
