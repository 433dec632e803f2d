package obs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"attune/internal/disk"
	"attune/internal/disk/disktest"

	"go.uber.org/zap"
)

// logged opens the log, says the words and closes it.
func logged(fs disk.FS, path string, words ...string) error {
	log, done, err := NewLogger(io.Discard, fs, path, false)
	if err != nil {
		return err
	}
	for _, w := range words {
		log.Info(w, zap.String("long", strings.Repeat("x", 100)))
	}
	return done()
}

// said is the messages of the lines, each of which must be whole.
func said(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for line := range bytes.Lines(b) {
		var r struct{ Msg string }
		if err := json.Unmarshal(line, &r); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Errorf("%q: %v", line, err)
		}
		words = append(words, r.Msg)
	}
	return strings.Join(words, " ")
}

// Whatever becomes of a line, those after it are whole lines.
func TestLinesOfTheLogAreWhole(t *testing.T) {
	t.Run("a kill", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log.jsonl")
		f := disktest.New(disk.OS())
		f.At(2, disktest.Die()) // the second line
		if err := logged(f, path, "one", "two", "three"); !errors.Is(err, disktest.ErrDied) {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || bytes.HasSuffix(b, []byte("\n")) {
			t.Fatalf("no line is torn: %q, %v", b, err)
		}
		if err := logged(disk.OS(), path, "four"); err != nil {
			t.Fatal(err)
		}
		if got := said(t, path); got != "one four" {
			t.Errorf("it says %q", got)
		}
	})
	for i, want := range map[int]string{1: "two three", 2: "one three", 3: "one two"} {
		path := filepath.Join(t.TempDir(), "log.jsonl")
		f := disktest.New(disk.OS())
		seen := map[string]int{}
		f.When(func(op disktest.Op) bool {
			seen[op.Kind]++
			return op.Kind == "write" && seen["write"] == i || op.Kind == "truncate" && seen["truncate"] == 1 // not cut off at once
		}, disktest.Short(syscall.ENOSPC))
		if err := logged(f, path, "one", "two", "three"); err != nil {
			t.Fatal(err)
		}
		if i == 3 { // nothing comes behind it; the next run cuts it off
			if err := logged(disk.OS(), path, "four"); err != nil {
				t.Fatal(err)
			}
			want += " four"
		}
		if got := said(t, path); got != want {
			t.Errorf("line %d torn: it says %q, want %q", i, got, want)
		}
	}
}

// What is no log is appended to, not cut to nothing.
func TestLogBehindSomethingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 2*maxLine), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := logged(disk.OS(), path, "one"); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() <= 2*maxLine {
		t.Errorf("%v, %v", st, err)
	}
}
