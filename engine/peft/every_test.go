package peft

import (
	"maps"
	"testing"

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
