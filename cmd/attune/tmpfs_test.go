//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"attune/internal/disk"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of so many bytes; resize changes how many.
func smallDisk(t *testing.T, bytes int64) (dir string, resize func(bytes int64)) {
	t.Helper()
	dir = t.TempDir()
	mount := func(flags uintptr, bytes int64) error {
		return unix.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%d", bytes))
	}
	if err := mount(0, bytes); errors.Is(err, syscall.EPERM) {
		t.Skip("needs to mount a small tmpfs: run the test as root, or behind unshare -rm")
	} else if err != nil {
		t.Fatal(err)
	}
	atEnd(t, func() error { return unix.Unmount(dir, 0) })
	return dir, func(bytes int64) {
		t.Helper()
		if err := mount(unix.MS_REMOUNT, bytes); err != nil {
			t.Fatal(err)
		}
	}
}

// fullLesson trains all weights, so that the disk goes to checkpoints and the model.
func fullLesson(t *testing.T) lesson {
	return smallLesson(t, lesson{"method": "full", "train.learning_rate": 0.002, "checkpoint.every": 2, "checkpoint.keep": 2, "eval.every": 2})
}

// used is what the files of a directory take on such a disk.
func used(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err == nil {
			bytes += (st.Size() + 4095) &^ 4095
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// A disk that is full for good: the run says so, and goes on from its last whole checkpoint once there is room.
func TestFullDiskForReal(t *testing.T) {
	whole := fullLesson(t)
	whole.train(t)
	room := used(t, whole.runDir())
	for _, tenth := range []int64{2, 5, 8} {
		mounted, resize := smallDisk(t, room*tenth/10)
		l := whole.with(lesson{"run_dir": filepath.Join(mounted, "run")})
		o := invoke(t.Context(), "", l.args("train")...)
		if o.code != exitFailed || !strings.Contains(o.stderr, syscall.ENOSPC.Error()) || strings.Contains(o.stderr, "NOT saved") && !strings.Contains(o.stderr, "once the disk takes it, --resume") {
			t.Errorf("%d bytes of %d: exit code %d\n%s", room*tenth/10, room, o.code, o.stderr)
		}
		resize(4 * room)
		l.train(t, "--resume")
		sameRun(t, whole.runDir(), l.runDir())
	}
}

// A disk that somebody else fills for a while costs checkpoints, and nothing else.
func TestFullDiskForAWhile(t *testing.T) {
	whole := fullLesson(t)
	whole.train(t)
	mounted, _ := smallDisk(t, 4*used(t, whole.runDir()))
	l := whole.with(lesson{"run_dir": filepath.Join(mounted, "run")})
	other := filepath.Join(mounted, "another's")
	stop := &stopper{at: map[int]func(){
		6: func() {
			f, err := os.Create(other)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("the disk is not full: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		},
		14: func() {
			if err := os.Remove(other); err != nil {
				t.Error(err)
			}
		},
	}}
	if code := run(t.Context(), l.args("train"), streams{in: strings.NewReader(""), out: io.Discard, err: stop, fs: disk.In}); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, stop.seen.String())
	}
	for _, word := range []string{"not written", syscall.ENOSPC.Error(), "training goes on"} {
		if !strings.Contains(stop.seen.String(), word) {
			t.Errorf("%q is not in\n%s", word, stop.seen.String())
		}
	}
	sameRun(t, whole.runDir(), l.runDir())
}

// zeros is a file without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
