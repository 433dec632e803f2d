package obs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"attune/internal/disk"
)

// Metrics is metrics.jsonl: one JSON object a line, each written in one piece.
type Metrics struct {
	f disk.File
}

// OpenMetrics opens the file for a run that has done the steps up to and including `done`: later lines, and a last
// line that a kill cut in two, are taken away, so that a resumed run neither doubles nor misses a step.
func OpenMetrics(fs disk.FS, name string, done int) (*Metrics, error) {
	f, err := fs.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open metrics: %w", err)
	}
	keep, err := wholeLines(f, done)
	if err == nil {
		err = f.Truncate(keep)
	}
	if err == nil {
		_, err = f.Seek(keep, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", fs.Path(name), err), f.Close())
	}
	return &Metrics{f: f}, nil
}

// maxLine bounds a line, in bytes: one that is longer is no record of a step.
const maxLine = 1 << 20

// wholeLines is the length of the file up to the first line that is torn, no record, or belongs to a step after done.
func wholeLines(r io.Reader, done int) (int64, error) {
	var keep int64
	for br := bufio.NewReaderSize(r, maxLine); ; {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
			return keep, nil
		}
		if err != nil {
			return 0, err
		}
		var head struct {
			Step *int `json:"step"`
		}
		if json.Unmarshal(line, &head) != nil || head.Step == nil || *head.Step > done {
			return keep, nil
		}
		keep += int64(len(line))
	}
}

// Write appends one record, a struct with a "step" field.
func (m *Metrics) Write(record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	if _, err := m.f.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// Sync makes what was written survive the machine; called before a checkpoint that counts on it.
func (m *Metrics) Sync() error { return m.f.Sync() }

// Close closes the file.
func (m *Metrics) Close() error { return m.f.Close() }
