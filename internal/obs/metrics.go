package obs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"attune/internal/disk"
)

// Metrics is metrics.jsonl: one JSON object a line, each whole or absent. Its methods may be called by several goroutines:
// a checkpoint that is written in the background syncs while the next steps write.
type Metrics struct {
	mu      sync.Mutex
	f       disk.File
	keep    int64  // bytes of the file that are whole lines
	torn    bool   // behind them there may be part of one
	waiting []byte // whole lines that the disk refused
	refused error  // why
	lacks   int    // steps without a line when the file was opened
}

// OpenMetrics opens the file for a run that has done the steps up to and including `done`; evalDue: it makes the evaluation
// behind that one anew. Lines that come later, and a last one that a kill cut in two, are taken away, so that a resumed run
// neither doubles nor misses any.
func OpenMetrics(fs disk.FS, name string, done int, evalDue bool) (*Metrics, error) {
	f, err := fs.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open metrics: %w", err)
	}
	keep, steps, err := wholeLines(f, done, evalDue)
	if err == nil {
		err = f.Truncate(keep)
	}
	if err == nil {
		_, err = f.Seek(keep, io.SeekStart)
	}
	if err == nil { // Sync is about the lines; a new file's name is its directory's
		err = fs.SyncDir(filepath.Dir(name))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", fs.Path(name), err), f.Close())
	}
	return &Metrics{f: f, keep: keep, lacks: max(0, done-steps)}, nil
}

// Lacks is how many of the steps that were done had no line when the file was opened: 0, unless somebody else changed it.
func (m *Metrics) Lacks() int { return m.lacks }

// maxLine bounds a line, in bytes: one that is longer is no record of a step.
const maxLine = 1 << 20

// wholeLines is the length of the file up to the first line that is torn, no record, or belongs to a step after done, or to an
// evaluation behind done that is due, and how many steps have a line up to there.
func wholeLines(r io.Reader, done int, evalDue bool) (keep int64, steps int, err error) {
	for br := bufio.NewReaderSize(r, maxLine); ; {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
			return keep, steps, nil
		}
		if err != nil {
			return 0, 0, err
		}
		var head struct {
			Step *int            `json:"step"`
			Eval json.RawMessage `json:"eval_loss"`
		}
		if json.Unmarshal(line, &head) != nil || head.Step == nil || *head.Step > done || evalDue && *head.Step == done && head.Eval != nil {
			return keep, steps, nil
		}
		keep += int64(len(line))
		if head.Eval == nil && *head.Step > 0 {
			steps++
		}
	}
}

// maxWaiting bounds the lines that wait for the disk, in bytes.
const maxWaiting = 64 << 20

// Write appends one record, a struct with a "step" field. A line that the disk refuses waits in memory and is tried again
// with the next one, at Sync and at Close; Waiting says so. It is an error when too many wait.
func (m *Metrics) Write(record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused != nil && len(m.waiting)+len(b) >= maxWaiting {
		return fmt.Errorf("write metrics: %d MiB of lines wait for the disk, and no more are kept; make room, then resume: %w", len(m.waiting)>>20, m.refused)
	}
	m.waiting = append(append(m.waiting, b...), '\n')
	m.refused = m.flush()
	return nil
}

// flush writes what waits. The lines of it that are whole on the disk wait no longer; a part of one is cut off again, at
// once or, where the disk refuses that too, before the next is written.
func (m *Metrics) flush() error {
	if err := m.mend(); err != nil || len(m.waiting) == 0 {
		return err
	}
	n, err := m.f.Write(m.waiting)
	if err == nil {
		m.keep, m.waiting = m.keep+int64(n), nil
		return nil
	}
	whole := bytes.LastIndexByte(m.waiting[:n], '\n') + 1
	m.keep, m.waiting, m.torn = m.keep+int64(whole), m.waiting[whole:], true
	_ = m.mend()
	return err
}

// mend cuts the file back to its whole lines where a write has failed.
func (m *Metrics) mend() error {
	if !m.torn {
		return nil
	}
	if err := m.f.Truncate(m.keep); err != nil {
		return err
	}
	if _, err := m.f.Seek(m.keep, io.SeekStart); err != nil {
		return err
	}
	m.torn = false
	return nil
}

// Cut takes away the lines of steps after done, as OpenMetrics does: for a run that goes back to where it stood then.
func (m *Metrics) Cut(done int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep, _, err := wholeLines(io.NewSectionReader(m.f, 0, m.keep), done, false)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	if keep < m.keep {
		m.keep, m.torn, m.waiting = keep, true, nil // what waits comes after what is taken away
	} else if keep, _, err = wholeLines(bytes.NewReader(m.waiting), done, false); err == nil {
		m.waiting = m.waiting[:keep]
	}
	m.refused = m.mend()
	return nil
}

// Waiting is how many lines the disk has not taken, and why.
func (m *Metrics) Waiting() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Count(m.waiting, []byte{'\n'}), m.refused
}

// Sync makes what was written survive the machine; called before a checkpoint that counts on it. It is an error while
// lines wait.
func (m *Metrics) Sync() error {
	if err := m.try(); err != nil {
		return err
	}
	if err := m.f.Sync(); err != nil { // outside the lock: steps go on meanwhile
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// try tries the lines that wait once more.
func (m *Metrics) try() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused = m.flush(); m.refused != nil {
		return fmt.Errorf("write metrics: %d lines wait for the disk: %w", bytes.Count(m.waiting, []byte{'\n'}), m.refused)
	}
	return nil
}

// Close closes the file; lines that still wait are lost, which is an error.
func (m *Metrics) Close() error { return errors.Join(m.try(), m.f.Close()) }
