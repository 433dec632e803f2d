package main

import (
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

	"golang.org/x/sys/unix"
)

const (
	lockName   = ".lock"
	takingName = ".lock.taking" // there while .lock is judged by its record
)

// maxHolder bounds the record in .lock, in bytes.
const maxHolder = 4096

// holder is the record in .lock: which process holds run_dir. One that ends well leaves none.
type holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Boot    string    `json:"boot_id,omitempty"`      // another one each time the machine starts
	Space   string    `json:"pid_space,omitempty"`    // in which the pid means something: a container has its own
	Started string    `json:"process_time,omitempty"` // when the process began, as the system counts
	Since   time.Time `json:"since"`
}

func (h holder) String() string {
	return fmt.Sprintf("pid %d on %s since %s", h.PID, h.Host, h.Since.Format(time.DateTime))
}

// lock is that of a run directory, held until release.
type lock struct {
	f    *os.File // .lock
	path string   // of .lock
	left string   // who held it last and ended without giving it back, "" = nobody
}

// heldError says that another process holds a run directory.
type heldError struct{ by string }

func (e *heldError) Error() string { return "in use by " + e.by }

// flock takes the lock of an open file that the system gives back when the process ends, however that is.
func flock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// takeLock takes the lock of the run directory root, or says by a *heldError who has it. Where its file system has no flock the
// record alone decides.
func takeLock(root *os.Root, flock func(*os.File) error) (*lock, error) {
	f, err := root.OpenFile(lockName, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	l := &lock{f: f, path: filepath.Join(root.Name(), lockName)}
	switch err = flock(f); {
	case err == nil:
		var last *holder
		if last, err = l.read(); err == nil {
			l.left = leftBy(last)
			_ = l.write() // a word for whoever comes; on a full disk flock holds without it
			return l, nil
		}
	case errors.Is(err, unix.EWOULDBLOCK):
		by := "another attune"
		if now, readErr := l.read(); readErr == nil && now != nil && now.PID > 0 && !now.ended() {
			by = now.String()
		}
		err = &heldError{by}
	case errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS):
		if err = l.takeByRecord(root); err == nil {
			return l, nil
		}
	}
	return nil, errors.Join(err, l.f.Close())
}

// takeByRecord takes the lock of a file system without flock. One process at a time judges the record.
func (l *lock) takeByRecord(root *os.Root) error {
	guard, err := root.OpenFile(takingName, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	for wait := time.Millisecond; errors.Is(err, fs.ErrExist) && wait < 2*time.Second; wait *= 2 {
		time.Sleep(wait)
		guard, err = root.OpenFile(takingName, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("another attune was just about to take it; if none is, remove %s", filepath.Join(root.Name(), takingName))
	}
	if err != nil {
		return err
	}
	err = l.judge()
	return errors.Join(err, guard.Close(), root.Remove(takingName))
}

// judge makes the lock this process's if its record is empty or of a process that has ended.
func (l *lock) judge() error {
	last, err := l.read()
	if err != nil {
		return err
	}
	switch here := thisProcess(); {
	case last == nil:
	case last.PID <= 0 || !last.isNear(here):
		by := "somebody unknown"
		if last.PID > 0 {
			by = last.String()
		}
		return &heldError{fmt.Sprintf("%s, and this file system has no locks to tell whether that has ended; if it has, remove %s", by, l.path)}
	case !last.ended():
		return &heldError{last.String()}
	}
	l.left = leftBy(last)
	return errors.Join(l.write(), l.f.Sync())
}

// leftBy is what is said of the last holder.
func leftBy(last *holder) string {
	switch {
	case last == nil:
		return ""
	case last.PID <= 0:
		return "a process"
	}
	return last.String()
}

// read is the record: nil where there is none, without a PID where it is torn.
func (l *lock) read() (*holder, error) {
	b, err := io.ReadAll(io.NewSectionReader(l.f, 0, maxHolder))
	if err != nil || len(b) == 0 {
		return nil, err
	}
	var h holder
	if json.Unmarshal(b, &h) != nil {
		h = holder{}
	}
	return &h, nil
}

func (l *lock) write() error {
	b, err := json.Marshal(thisProcess())
	if err == nil {
		err = l.f.Truncate(0)
	}
	if err == nil {
		_, err = l.f.WriteAt(append(b, '\n'), 0)
	}
	return err
}

// errTaken ends a run whose directory is no longer its own.
var errTaken = errors.New("was taken away while the run went on, or another run is in it now; nothing more is written")

// stands is errTaken where the run directory's name no longer leads to this lock.
func (l *lock) stands() error {
	own, err := l.f.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Lstat(l.path); err != nil || !os.SameFile(own, there) {
		return fmt.Errorf("run_dir %s %w", filepath.Dir(l.path), errTaken)
	}
	return nil
}

// release gives the lock back. The file stays: removing it would let two runs lock two files of the same name.
func (l *lock) release() error { return errors.Join(l.f.Truncate(0), l.f.Close()) }

// thisProcess is the record of this process.
func thisProcess() holder {
	host, _ := os.Hostname() // "" is the same machine as "" only
	return holder{PID: os.Getpid(), Host: host, Boot: bootID(), Space: pidSpace(), Started: startOf(os.Getpid()), Since: time.Now().Truncate(time.Second)}
}

// isNear reports whether what ended there can be told from here: it is the same machine, which was started again since or
// counts its processes as this one does.
func (h holder) isNear(here holder) bool {
	return h.Host == here.Host && (h.Boot != here.Boot || h.Space == here.Space)
}

// ended reports whether the process is one of this machine that runs no longer.
func (h holder) ended() bool {
	here := thisProcess()
	switch {
	case !h.isNear(here):
		return false
	case h.Boot != here.Boot:
		return true
	case errors.Is(unix.Kill(h.PID, 0), unix.ESRCH):
		return true
	}
	return h.Started != "" && h.Started != startOf(h.PID) // another process has its number now
}

// bootID is Linux's name of the time since the machine was started, "" elsewhere.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// pidSpace is Linux's name of the namespace of pids that this process is in (pid_namespaces(7)), "" elsewhere.
func pidSpace() string {
	name, _ := os.Readlink("/proc/self/ns/pid")
	return name
}

// startOf is when a process began, in ticks since the machine was started (proc_pid_stat(5), field 22); "" where the system
// does not say, and of a process that has ended and was not waited for.
func startOf(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ") // its name may have blanks and brackets
	if fields := strings.Fields(rest); len(fields) > 19 && fields[0] != "Z" && fields[0] != "X" {
		return fields[19]
	}
	return ""
}
