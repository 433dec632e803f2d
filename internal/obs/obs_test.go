package obs

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/disk"
)

type record struct {
	Step int `json:"step"`
	Loss float64
}

// A resumed run goes on behind the steps its checkpoint knows: lines after it, and a torn one, are gone.
func TestMetricsGoOnBehindTheCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	m, err := OpenMetrics(disk.OS(), path, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for s := 1; s <= 5; s++ {
		if err := m.Write(record{Step: s}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"step":6,"Lo`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, done := range []int{5, 3, 0} {
		m, err := OpenMetrics(disk.OS(), path, done, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Write(record{Step: done + 1}); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		if len(lines) != done+1 {
			t.Fatalf("after step %d: %d lines\n%s", done, len(lines), b)
		}
		for i, l := range lines {
			var r record
			if err := json.Unmarshal([]byte(l), &r); err != nil || r.Step != i+1 {
				t.Errorf("line %d: %q: %v", i, l, err)
			}
		}
	}
}

func TestLoggerWritesBoth(t *testing.T) {
	var console bytes.Buffer
	path := filepath.Join(t.TempDir(), "log.jsonl")
	log, done, err := NewLogger(&console, disk.OS(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("loaded the model")
	log.Debug("detail")
	log.Error("broken") // the command prints it
	if err := done(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := console.String(); !strings.Contains(s, "loaded the model") || strings.Contains(s, "detail") || strings.Contains(s, "broken") {
		t.Errorf("console: %q", s)
	}
	if n := bytes.Count(b, []byte("\n")); n != 3 || !json.Valid(b[:bytes.IndexByte(b, '\n')]) {
		t.Errorf("log.jsonl: %d lines\n%s", n, b)
	}
}

func TestPlotLoss(t *testing.T) {
	dir := t.TempDir()
	metrics, out := filepath.Join(dir, "metrics.jsonl"), filepath.Join(dir, "loss.png")
	if err := os.WriteFile(metrics, []byte("{\"step\":0,\"eval_loss\":3}\n{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":1.5}\n{\"step\":2,\"eval_loss\":2}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := PlotLoss(disk.OS(), metrics, out); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() < 400 || b.Dy() < 200 {
		t.Errorf("the picture is %v", b)
	}
}
