// Package sessiontest gives the tests of what stands on a session one to stand on. It is for tests only.
package sessiontest

import (
	"path/filepath"
	"testing"

	"attune/engine/model"
	"attune/engine/session"
	"attune/internal/disk"
	"attune/kernels"
)

// Random is a small random model in float32, placed on one thread of the CPU, and its directory; both are gone when the
// test is over. Its head is its own: with tied weights a random model only repeats the last token.
func Random(t *testing.T) (s *session.Session, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "model")
	if err := model.New(disk.OS(), dir, model.NewOptions{HiddenSize: 32, NumHiddenLayers: 2, Untied: true, Seed: 7}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	device, err := session.OpenDevice("cpu", 1)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = session.New(session.Options{Device: device, Model: m, Dtype: kernels.Float32}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, free := range []func() error{s.Close, device.Close, m.Close} {
			if err := free(); err != nil {
				t.Error(err)
			}
		}
	})
	if err := s.Place(); err != nil {
		t.Fatal(err)
	}
	return s, dir
}
