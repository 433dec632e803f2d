package obs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"attune/internal/disk"
	"attune/internal/disk/disktest"
)

func (r record) line() string { return fmt.Sprintf("{\"step\":%d,\"Loss\":%g}\n", r.Step, r.Loss) }

// wantLines compares the file with the records of steps 1 to n.
func wantLines(t *testing.T, path string, n int) {
	t.Helper()
	var want strings.Builder
	for s := 1; s <= n; s++ {
		want.WriteString(record{Step: s, Loss: float64(s) / 2}.line())
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != want.String() {
		t.Errorf("the file holds %q (%v), want %d lines", b, err, n)
	}
}

func steps(m *Metrics, from, to int) error {
	for s := from; s <= to; s++ {
		if err := m.Write(record{Step: s, Loss: float64(s) / 2}); err != nil {
			return err
		}
	}
	return nil
}

// A full disk stops no run: lines wait, none is lost, doubled or torn, and a checkpoint that counts on them is told.
func TestLinesWaitForTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	f := disktest.New(disk.OS())
	m, err := OpenMetrics(f, path, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(steps(m, 1, 3), m.Sync()); err != nil {
		t.Fatal(err)
	}
	line := int64(len(record{Step: 4, Loss: 2}.line()))
	f.Full(2*line + line/2)
	for s := 4; s <= 9; s++ {
		if err := steps(m, s, s); err != nil {
			t.Fatal(err)
		}
		n, why := m.Waiting()
		if n != max(0, s-5) || (n > 0) != errors.Is(why, syscall.ENOSPC) {
			t.Errorf("after step %d %d lines wait: %v", s, n, why)
		}
		wantLines(t, path, min(s, 5)) // no half of a line, which a reader would trip over
	}
	if err := m.Sync(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "4 lines wait") {
		t.Errorf("synced while lines wait: %v", err)
	}
	f.Full(3*line + 4) // some of those that wait fit
	if err := m.Sync(); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	wantLines(t, path, 8)
	f.Heal()
	if err := m.Sync(); err != nil {
		t.Error(err)
	}
	wantLines(t, path, 9)
	if n, err := m.Waiting(); n != 0 || err != nil {
		t.Error(n, err)
	}
	f.Full(0)
	if err := steps(m, 10, 10); err != nil {
		t.Error(err)
	}
	if err := m.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("closed without a word of what is lost: %v", err)
	}
	wantLines(t, path, 9)
}

// What waits is bounded, and the error keeps why.
func TestNotTooManyLinesWait(t *testing.T) {
	f := disktest.New(disk.OS())
	m, err := OpenMetrics(f, filepath.Join(t.TempDir(), "metrics.jsonl"), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	f.Full(0)
	type long struct {
		Step int    `json:"step"`
		Note string `json:"note"`
	}
	r, written := long{1, strings.Repeat("x", maxWaiting/8)}, 0
	for ; written < 9 && err == nil; written++ {
		err = m.Write(r)
	}
	if written != 8 || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("after %d long lines: %v", written, err)
	}
	f.Heal()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// session is what a run does with its metrics: steps 1 to 3, a checkpoint, steps 4 to 6, a checkpoint, step 7.
func session(fs disk.FS, path string) (synced int, err error) {
	m, err := OpenMetrics(fs, path, 0, false)
	if err != nil {
		return 0, err
	}
	for _, part := range [][2]int{{1, 3}, {4, 6}, {7, 7}} {
		if err := steps(m, part[0], part[1]); err != nil {
			return synced, errors.Join(err, m.Close())
		}
		if part[1] < 7 && m.Sync() == nil { // a checkpoint that is not written ends no run
			synced = part[1]
		}
	}
	return synced, m.Close()
}

// Every operation in turn fails once, half way or at once: the run goes on, and the file has every line once.
func TestEveryOperationOfMetricsFails(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		for name, mode := range map[string]disktest.Mode{"fail": disktest.Fail(syscall.EIO), "short": disktest.Short(syscall.ENOSPC)} {
			f, path := disktest.New(disk.OS()), filepath.Join(t.TempDir(), "metrics.jsonl")
			f.At(i, mode)
			_, err := session(f, path)
			op := f.Ops()[i]
			if opening := op.Kind == "create" || op.Kind == "syncdir" || i == 1; opening != (err != nil) {
				t.Errorf("%s of %v: %v", name, op, err)
			} else if err == nil {
				wantLines(t, path, 7)
			}
		}
	})
}

// Every operation in turn is the last, of the process or of the machine: a run that goes on from the last checkpoint finds
// each line up to there, and ends with all of them.
func TestMetricsAfterAKill(t *testing.T) {
	each(t, func(t *testing.T, i int) {
		for name, cut := range map[string]func(*disktest.Faults) error{
			"killed": func(*disktest.Faults) error { return nil }, "power": (*disktest.Faults).PowerCut, "power, late": (*disktest.Faults).PowerCutLate,
		} {
			f, path := disktest.New(disk.OS()), filepath.Join(t.TempDir(), "metrics.jsonl")
			f.At(i, disktest.Die())
			synced, err := session(f, path)
			if err == nil || !f.Dead() {
				t.Fatal("nobody died")
			}
			if err := cut(f); err != nil {
				t.Fatal(err)
			}
			m, err := OpenMetrics(disk.OS(), path, synced, false)
			if err != nil {
				t.Fatalf("%s at %v: %v", name, f.Ops()[i], err)
			}
			if err := errors.Join(steps(m, synced+1, 7), m.Close()); err != nil {
				t.Fatal(err)
			}
			wantLines(t, path, 7)
		}
	})
}

// each calls test for each operation of a session, after one without faults.
func each(t *testing.T, test func(t *testing.T, i int)) {
	f, path := disktest.New(disk.OS()), filepath.Join(t.TempDir(), "metrics.jsonl")
	if synced, err := session(f, path); err != nil || synced != 6 {
		t.Fatal(synced, err)
	}
	wantLines(t, path, 7)
	for i, op := range f.Ops() {
		t.Run(fmt.Sprintf("%d %s", i, op.Kind), func(t *testing.T) { test(t, i) })
	}
}

// A checkpoint is synced while steps are written.
func TestSyncBesideWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	m, err := OpenMetrics(disk.OS(), path, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	var g sync.WaitGroup
	g.Go(func() {
		for range 20 {
			if err := m.Sync(); err != nil {
				t.Error(err)
			}
		}
	})
	if err := steps(m, 1, 500); err != nil {
		t.Error(err)
	}
	g.Wait()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(path)
	if n := bytes.Count(b, []byte{'\n'}); err != nil || n != 500 || !json.Valid(b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]) {
		t.Errorf("%d lines, %v", n, err)
	}
}
