package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"attune/internal/hostiletest"
)

func pipe(t *testing.T) string {
	dir := t.TempDir()
	hostiletest.Link(t, dir, "rows.jsonl", "pipe")
	return filepath.Join(dir, "rows.jsonl")
}

// A pipe that nobody writes to, and one in which nothing comes, are waited for only until the context is done.
func TestPipeInWhichNothingComes(t *testing.T) {
	path := pipe(t)
	for name, before := range map[string]func(){
		"nobody writes": func() {},
		"nothing comes": func() {
			w, err := os.OpenFile(path, os.O_RDWR, 0) // which a pipe lets be opened alone
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = w.Close() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			before()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			if _, err := Open(ctx, path, Options{}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

// Rows come through a pipe as from any file.
func TestPipe(t *testing.T) {
	path := pipe(t)
	go func() { _ = os.WriteFile(path, []byte("{\"text\": \"a\"}\n{\"text\": \"b\"}\n"), 0) }()
	if rows, err := readAll(t, path, Options{}); err != nil || len(rows) != 2 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if _, err := readAll(t, filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
