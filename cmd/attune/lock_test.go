package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"attune/internal/disk"

	"golang.org/x/sys/unix"
)

// noFlock is a file system that has none, as some of networks.
func noFlock(*os.File) error { return unix.ENOLCK }

// root opens a directory for the length of a test.
func root(t *testing.T, path string) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, r.Close)
	return r
}

// recorded leaves in dir the record of a process that did not give its lock back.
func recorded(t *testing.T, dir string, h holder) {
	t.Helper()
	b, err := json.Marshal(h)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, lockName), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ended is the record of a process that was and is no more.
func ended(t *testing.T) holder {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := thisProcess()
	h.PID, h.Started = cmd.Process.Pid, startOf(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return h
}

// Whoever comes second is told who was first; whoever comes after that one, nothing. With the system's locks and without.
func TestLockIsOfOne(t *testing.T) {
	for name, flock := range map[string]func(*os.File) error{"flock": flock, "record": noFlock} {
		t.Run(name, func(t *testing.T) {
			dir := root(t, t.TempDir())
			for range 3 {
				l, err := takeLock(dir, flock)
				if err != nil {
					t.Fatal(err)
				}
				if l.left != "" {
					t.Errorf("taken over from %s, which gave it back", l.left)
				}
				var held *heldError
				if _, err := takeLock(dir, flock); !errors.As(err, &held) || !strings.HasPrefix(held.by, fmt.Sprintf("pid %d on %s since 20", os.Getpid(), thisProcess().Host)) {
					t.Errorf("while it is held: %v", err)
				}
				if err := l.release(); err != nil {
					t.Fatal(err)
				}
			}
			if entries, err := os.ReadDir(dir.Name()); err != nil || len(entries) != 1 {
				t.Errorf("left behind: %v (%v)", entries, err)
			}
		})
	}
}

// What a dead process left is taken over with a word; another process of its number, another start of the machine are no life.
func TestLockOfTheDead(t *testing.T) {
	gone := ended(t)
	reused, rebooted := thisProcess(), thisProcess()
	reused.Started, rebooted.Boot = "1", "before"
	for name, h := range map[string]holder{"gone": gone, "number reused": reused, "machine started anew": rebooted} {
		for how, flock := range map[string]func(*os.File) error{"flock": flock, "record": noFlock} {
			dir := root(t, t.TempDir())
			recorded(t, dir.Name(), h)
			l, err := takeLock(dir, flock)
			if err != nil {
				t.Errorf("%s, %s: %v", name, how, err)
				continue
			}
			if l.left != h.String() {
				t.Errorf("%s, %s: taken over from %q", name, how, l.left)
			}
			if err := l.release(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Where the record alone decides, one that cannot be judged is not taken over: the file to remove is named.
func TestLockThatCannotBeJudged(t *testing.T) {
	elsewhere, contained := thisProcess(), ended(t)
	elsewhere.Host, contained.Space = "elsewhere", "of a container with the machine's name"
	for name, h := range map[string]holder{"on elsewhere": elsewhere, "on " + contained.Host: contained, "somebody unknown": {}} {
		dir := root(t, t.TempDir())
		recorded(t, dir.Name(), h)
		_, err := takeLock(dir, noFlock)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "remove "+filepath.Join(dir.Name(), lockName)) {
			t.Errorf("%s: %v", name, err)
		}
		l, err := takeLock(dir, flock) // the system's lock says more than any record
		if err != nil || l.left == "" {
			t.Fatalf("%s: %v", name, err)
		}
		if err := l.release(); err != nil {
			t.Error(err)
		}
	}
	dir := root(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(dir.Name(), takingName), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(dir, noFlock); err == nil || !strings.Contains(err.Error(), "remove "+filepath.Join(dir.Name(), takingName)) {
		t.Errorf("the judging was cut off: %v", err)
	}
}

// An error of the lock that does not say that it is held is told as what it is.
func TestLockErrors(t *testing.T) {
	dir := &runDir{path: t.TempDir()}
	dir.root = root(t, dir.path)
	dir.fs = disk.In(dir.root)
	err := dir.take(false, func(*os.File) error { return unix.EIO })
	if !errors.Is(err, unix.EIO) || strings.Contains(err.Error(), "in use") || exitCode(err) != exitFailed {
		t.Errorf("%v", err)
	}
}

// Of two starters at one moment exactly one wins, each time.
func TestTwoStarters(t *testing.T) {
	for name, flock := range map[string]func(*os.File) error{"flock": flock, "record": noFlock} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			for round := range 50 {
				if round%2 == 0 { // where a dead one's record is to be taken over, and where nothing is
					recorded(t, path, holder{PID: 1, Host: thisProcess().Host, Boot: "before"})
				}
				var both sync.WaitGroup
				var won [2]*lock
				var errs [2]error
				start := make(chan struct{})
				for i := range won {
					dir := root(t, path)
					both.Go(func() {
						<-start
						won[i], errs[i] = takeLock(dir, flock)
					})
				}
				close(start)
				both.Wait()
				var held *heldError
				if (won[0] == nil) == (won[1] == nil) || !errors.As(errors.Join(errs[:]...), &held) {
					t.Fatalf("round %d: %v", round, errs)
				}
				for _, l := range won {
					if l != nil {
						if err := l.release(); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		})
	}
}

// FuzzHolder: whatever .lock holds, it is judged, and what is there then is this process's record.
func FuzzHolder(f *testing.F) {
	for _, text := range []string{"", "{", `{"pid":-1,"host":""}`, `{"pid":1e99}`, `{"pid":0}`, `{"pid":999999999,"host":"a","boot_id":"b"}`, "[]", "\x00", `{"since":"x"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := root(t, t.TempDir())
		path := filepath.Join(dir.Name(), lockName)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := takeLock(dir, flock)
		if err != nil || (l.left == "") != (len(text) == 0) {
			t.Fatalf("%q: %v, %v", text, l, err)
		}
		h, err := l.read()
		if err != nil || h.PID != os.Getpid() || h.ended() || time.Since(h.Since) > time.Hour {
			t.Fatalf("%q: %v, %v", text, h, err)
		}
		if err := l.release(); err != nil {
			t.Fatal(err)
		}
	})
}
