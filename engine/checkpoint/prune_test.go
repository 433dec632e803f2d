package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// names are what lies under the root, hidden names too.
func names(t *testing.T, s *Store) string {
	t.Helper()
	entries, err := os.ReadDir(s.Root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func damage(t *testing.T, s *Store, step int) {
	t.Helper()
	overwrite(t, filepath.Join(s.Dir(step), weightsName), []byte("torn"))
}

func TestPrune(t *testing.T) {
	for name, x := range map[string]struct {
		saved, damaged  []int
		keep, keepEvery int
		now             int
		stay            []int
		left            []int
	}{
		"newest and best":                   {saved: []int{1, 2, 3, 4, 5, 6}, keep: 2, now: 6, stay: []int{3}, left: []int{3, 5, 6}},
		"what the guard goes back to":       {saved: []int{1, 2, 3, 4, 5, 6}, keep: 1, now: 6, stay: []int{3, 4}, left: []int{3, 4, 6}},
		"the state before the first step":   {saved: []int{0, 1, 2}, keep: 1, now: 2, stay: []int{0}, left: []int{0, 2}},
		"the best among the newest":         {saved: []int{1, 2, 3}, keep: 2, now: 3, stay: []int{3}, left: []int{2, 3}},
		"every third":                       {saved: []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, keep: 1, keepEvery: 3, now: 8, left: []int{3, 6, 8}},
		"one at least":                      {saved: []int{1, 2}, now: 2, left: []int{2}},
		"none yet":                          {keep: 1, now: 2},
		"a lost future does not count":      {saved: []int{7, 8, 9, 10}, damaged: []int{10}, keep: 1, now: 9, left: []int{9, 10}},
		"a whole future does not either":    {saved: []int{7, 8, 9, 10}, keep: 2, now: 9, left: []int{8, 9, 10}},
		"nothing before the future":         {saved: []int{10}, keep: 1, now: 9, left: []int{10}},
		"the run is past the lost future":   {saved: []int{8, 9, 10, 12}, damaged: []int{10}, keep: 1, now: 12, left: []int{12}},
		"damaged ones do not count":         {saved: []int{7, 8, 9, 10}, damaged: []int{9, 10}, keep: 1, now: 10, left: []int{8}},
		"the newest whole one, no other":    {saved: []int{6, 7, 8, 9}, damaged: []int{9}, keep: 1, now: 11, left: []int{8}},
		"a damaged best one":                {saved: []int{1, 2, 3}, damaged: []int{1}, keep: 1, now: 3, stay: []int{1}, left: []int{1, 3}},
		"all damaged: none is removed":      {saved: []int{1, 2, 3}, damaged: []int{1, 2, 3}, keep: 1, now: 3, left: []int{1, 2, 3}},
		"the only whole one lies before it": {saved: []int{8, 9}, damaged: []int{9}, keep: 1, now: 9, left: []int{8}},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t)
			if err := os.MkdirAll(s.Root, 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, s, x.saved...)
			for _, step := range x.damaged {
				damage(t, s, step)
			}
			s = fresh(s)
			s.Keep, s.KeepEvery = x.keep, x.keepEvery
			if err := s.prune(x.now, x.stay...); err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, step := range x.left {
				want = append(want, fmt.Sprintf("step-%06d", step))
			}
			if got := names(t, s); got != strings.Join(want, " ") {
				t.Errorf("left: %s, want %s", got, strings.Join(want, " "))
			}
		})
	}
}

// A run that went on from step 8, since step 10 was damaged, and was stopped at step 9 has something to go on from.
func TestStoppedBeforeALostFuture(t *testing.T) {
	s := store(t)
	s.Keep = 1
	put(t, s, 8, 10)
	damage(t, s, 10)
	if step, skipped := latest(t, s); step != 8 || skipped != 1 {
		t.Fatalf("step %d is used, %d passed over", step, skipped)
	}
	put(t, s, 9)
	if err := s.prune(9); err != nil {
		t.Fatal(err)
	}
	if step, skipped := latest(t, fresh(s)); step != 9 || skipped != 1 {
		t.Errorf("step %d is used, %d passed over", step, skipped)
	}
	put(t, s, 10)
	if err := s.prune(10); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s); got != "step-000010" {
		t.Errorf("left: %s", got)
	}
}

// What cannot be judged now may be the only whole one: nothing is removed.
func TestPruneJudgesBeforeItRemoves(t *testing.T) {
	s := store(t)
	s.Keep = 1
	put(t, s, 1, 2, 3)
	path := filepath.Join(s.Dir(3), stateName)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(stateName, path); err != nil { // to itself: even root cannot open it
		t.Fatal(err)
	}
	if err := fresh(s).prune(3); err == nil {
		t.Error("what cannot be read was judged")
	}
	if got := names(t, s); got != "step-000001 step-000002 step-000003" {
		t.Errorf("left: %s", got)
	}
}

// What unfinished writes left behind goes too, and nothing of another name.
func TestPruneSweeps(t *testing.T) {
	s := store(t)
	put(t, s, 1)
	for _, name := range []string{".step-000007.tmp-1-1/new", "notes", ".hidden", "step-7", "step-x"} {
		if err := os.MkdirAll(filepath.Join(s.Root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.prune(1); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s); got != ".hidden notes step-000001 step-7 step-x" {
		t.Errorf("left: %s", got)
	}
}

// What lies between a checkpoint that was gone back to and the step of today is removed, and nothing else.
func TestDrop(t *testing.T) {
	s := store(t)
	put(t, s, 0, 4, 5, 6, 7, 9)
	if err := s.Drop(5, 7); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s); got != "step-000000 step-000004 step-000009" {
		t.Errorf("left: %s", got)
	}
	if step, skipped := latest(t, fresh(s)); step != 9 || skipped != 0 {
		t.Errorf("step %d is used, %d passed over", step, skipped)
	}
}
