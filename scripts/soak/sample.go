package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// health is what the program itself says at a checkpoint, in its log.
type health struct {
	Msg        string `json:"msg"`
	Step       int    `json:"step"`
	Goroutines int    `json:"goroutines"`
	Heap       int64  `json:"heap"` // bytes of live and not yet collected objects
}

// sample is the process at a checkpoint.
type sample struct {
	health
	anon         int64         // RssAnon, bytes: what is mapped from files is not the program's own
	cpu          time.Duration // of all its threads since it began
	fds, threads int
}

func (s sample) String() string {
	return fmt.Sprintf("step %d: %.1f MiB, heap %.1f MiB, %d files, %d threads, %d goroutines", s.Step, mib(s.anon), mib(s.Heap), s.fds, s.threads, s.Goroutines)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// look samples a process.
func look(pid int, h health) (sample, error) {
	s := sample{health: h}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	b, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch n, err := strconv.ParseInt(f[1], 10, 64); {
		case err != nil:
		case f[0] == "RssAnon:":
			s.anon = n << 10
		case f[0] == "Threads:":
			s.threads = int(n)
		}
	}
	if s.cpu, err = cpuTime(filepath.Join(proc, "stat")); err != nil {
		return s, err
	}
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	s.fds = len(open)
	return s, err
}

// tick is the unit of times in /proc, on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime is fields 14 and 15 of proc_pid_stat(5).
func cpuTime(path string) (time.Duration, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // the name before it may have blanks
	if len(f) < 13 {
		return 0, fmt.Errorf("%s: %q", path, b)
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	system, serr := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err, serr)
}

// follow reads a file that grows.
type follow struct {
	path string
	read int64
}

// health are the records of health since the last call.
func (f *follow) health() (list []health, err error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(f.read, io.SeekStart); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	f.read += int64(len(b))
	for line := range bytes.Lines(b) {
		var h health
		if err := json.Unmarshal(line, &h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		if h.Msg == "health" {
			list = append(list, h)
		}
	}
	return list, nil
}

// step is a line of metrics.jsonl.
type step struct {
	Step    int     `json:"step"`
	Padded  int     `json:"padded_tokens"`
	Seconds float64 `json:"seconds"`
}

func readSteps(path string) (list []step, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if s.Padded > 0 { // an evaluation has none
			list = append(list, s)
		}
	}
	return list, lines.Err()
}
