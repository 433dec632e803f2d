package obs

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"attune/internal/disk"
	"attune/internal/smallfile"

	"golang.org/x/sys/unix"
)

// FuzzMetrics: whatever metrics.jsonl holds, what stays of it is the records up to the step, each whole and a step of its
// own line, and what is written goes behind them.
func FuzzMetrics(f *testing.F) {
	for _, text := range []string{
		"", "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"eval_loss\":2}\n", "{\"step\":1}\n{\"st", "{\"step\":1}", "\n", "{\"step\":null}\n", "{\"step\":1e99}\n",
		"[{\"step\":1}]\n", "{\"step\":1}{\"step\":1}\n", "{\"step\":1}\r\n{\"step\":2}\n", "{\"step\":-1}\n{\"step\":9}\n", "{\"step\":1,\"loss\":\"x\"}\n", "\x00\n\xff\n", "{\"step\":1}\v\n",
	} {
		f.Add([]byte(text), 1)
	}
	f.Fuzz(func(t *testing.T, text []byte, done int) {
		path := filepath.Join(t.TempDir(), "metrics.jsonl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := OpenMetrics(disk.OS(), path, done, false)
		if err != nil {
			t.Fatalf("%q, done %d: %v", text, done, err)
		}
		if err := errors.Join(m.Write(record{Step: done}), m.Close()); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		last := bytes.LastIndexByte(bytes.TrimSuffix(b, []byte("\n")), '\n') + 1
		if !bytes.HasPrefix(text, b[:last]) {
			t.Fatalf("%q became %q", text, b)
		}
		for line := range bytes.Lines(b) {
			var r struct{ Step *int }
			if err := json.Unmarshal(line, &r); err != nil || r.Step == nil || *r.Step > done {
				t.Fatalf("done %d: %q stays (%v)", done, line, err)
			}
		}
		if _, _, err := readLosses(disk.OS(), path); err != nil && strings.Contains(err.Error(), "EOF") {
			t.Fatalf("the plot finds a torn line in %q: %v", b, err)
		}
		again, err := OpenMetrics(disk.OS(), path, done, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if c, err := os.ReadFile(path); err != nil || !bytes.Equal(b, c) {
			t.Fatalf("%q becomes %q when it is opened again (%v)", b, c, err)
		}
	})
}

// A line without end is read no further than a record may be long.
func TestLineWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	first := "{\"step\":1}\n"
	if err := os.WriteFile(path, []byte(first+"{\"step\":2,\"x\":\""), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip("this file system has no sparse files")
	}
	m, err := OpenMetrics(disk.OS(), path, 9, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != first {
		t.Errorf("%q, %v", b, err)
	}
}

func TestMetricsAreAFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero", "/dev/null"} {
		if m, err := OpenMetrics(disk.OS(), path, 1, false); !errors.Is(err, smallfile.ErrNotRegular) {
			t.Errorf("%s: %v, %v", path, m, err)
		}
		if err := PlotLoss(disk.OS(), path, filepath.Join(dir, "loss.png")); !errors.Is(err, smallfile.ErrNotRegular) {
			t.Errorf("the plot of %s: %v", path, err)
		}
	}
}

// The largest and smallest numbers there are make a picture too, or an error; with some, the axes' marks were placed for
// ever.
func TestPlotOfExtremes(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{
		"{\"step\":1,\"loss\":1e308}\n{\"step\":2,\"loss\":-1e308}\n", "{\"step\":1,\"loss\":5e-324}\n{\"step\":2,\"loss\":0}\n",
		"{\"step\":1e308,\"loss\":1}\n{\"step\":-1e308,\"loss\":1}\n", "{\"step\":1,\"loss\":1}\n{\"step\":1,\"loss\":1.0000000000000002}\n",
		"{\"step\":9007199254740993,\"loss\":1}\n{\"step\":9007199254740995,\"loss\":1}\n", "{\"step\":1,\"loss\":-1e15}\n{\"step\":1e15,\"loss\":1e15}\n",
		"{\"step\":999999999999998,\"loss\":999999999999999.8}\n{\"step\":999999999999999,\"loss\":1e15}\n", "{\"step\":1,\"loss\":1,\"eval_loss\":1e300}\n",
	} {
		path := filepath.Join(dir, "metrics.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- PlotLoss(disk.OS(), path, filepath.Join(dir, "loss.png")) }()
		select {
		case err := <-done:
			if err != nil && !strings.Contains(err.Error(), "too large to draw") {
				t.Errorf("%q: %v", text, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%q: it does not end", text)
		}
	}
}
