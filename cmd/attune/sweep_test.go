package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a run left half written that was killed is gone after the next, resumed or begun again.
func TestLeftoversAreSwept(t *testing.T) {
	for name, flags := range map[string][]string{"again": nil, "resumed": {"--resume"}} {
		l := shortLesson(t)
		left := []string{".run.json.tmp-1-1", ".attune-rows.tmp-123", ".adapter.tmp-1-2/new/x", "templates/.a.jinja.tmp-1-3", "checkpoints/.step-000002.tmp-1-4/new/state.json"}
		for _, file := range left {
			path := filepath.Join(l.runDir(), file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("half"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		l.train(t, flags...)
		err := filepath.WalkDir(l.runDir(), func(path string, _ os.DirEntry, err error) error {
			if strings.Contains(path, ".tmp-") {
				t.Errorf("%s: %s is there still", name, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
