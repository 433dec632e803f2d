package obs

import (
	"os"
	"path/filepath"
	"testing"

	"attune/internal/disk"
	"attune/internal/disk/disktest"

	"pgregory.net/rapid"
)

// A run that goes back has the lines of a run that was opened anew where it goes back to, whether the disk takes them at the
// time or not.
func TestCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	rapid.Check(t, func(rt *rapid.T) {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		f := disktest.New(disk.OS())
		m, err := OpenMetrics(f, path, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		must := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "moves") {
			switch rapid.SampledFrom([]string{"write", "cut", "full", "room"}).Draw(rt, "move") {
			case "write":
				n := rapid.IntRange(1, 5).Draw(rt, "lines")
				must(steps(m, at+1, at+n))
				at += n
			case "cut":
				at = rapid.IntRange(0, at).Draw(rt, "to")
				must(m.Cut(at))
			case "full":
				f.Full(rapid.Int64Range(0, 60).Draw(rt, "bytes"))
			case "room":
				f.Heal()
			}
		}
		f.Heal()
		must(m.Sync())
		wantLines(t, path, at)
		must(m.Close())
	})
}
