//go:build gpu

package main

import (
	"errors"
	"strings"
	"testing"

	"attune/engine/session"
)

// attune-cuda goes on for attune of its own build, and for those who start it themselves.
func TestHandedOverByAnotherBuild(t *testing.T) {
	for by, refused := range map[string]bool{"": false, readBuildInfo().String(): false, "attune 0.1 go1.26 linux/amd64": true} {
		t.Setenv(handedOverBy, by)
		err := handOver(t.Context(), streams{}, "cuda")
		if refused != errors.Is(err, session.ErrNoDevice) || refused && !strings.Contains(err.Error(), by) {
			t.Errorf("by %q: got %v", by, err)
		}
	}
}
