package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lowered is how many threads of this process have a lower priority than the process began with.
func lowered(t *testing.T, normal string) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(files) == 0 {
		t.Skip("needs /proc/self/task: ", err)
	}
	for _, f := range files {
		if nice := niceOf(f); nice != "" && nice != normal {
			n++
		}
	}
	return n
}

// niceOf is field 19 of a thread's stat, "" where the thread is gone.
func niceOf(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(after)
	if len(fields) < 17 {
		return ""
	}
	return fields[16]
}

// In the background a write has the lowest priority there is, and takes it from nobody else: its thread ends with it. In
// the foreground it has its caller's.
func TestPriorities(t *testing.T) {
	normal := niceOf("/proc/self/stat")
	if normal == "" || normal == "19" {
		t.Skip("needs /proc/self/stat and a priority to lower")
	}
	s := store(t)
	w := s.NewWriter()
	own := func() string { return niceOf(fmt.Sprintf("/proc/self/task/%d/stat", unix.Gettid())) }
	var background, foreground string
	start(w, 1, func() error { background = own(); return nil })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.Write(stateOf(2), nil, tensors(2), tensors(9), func() error { foreground = own(); return nil })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if background != "19" || foreground != normal {
		t.Errorf("written at %s in the background and %s in the foreground; the process has %s", background, foreground, normal)
	}
	for begin := time.Now(); time.Since(begin) < time.Minute; { // the thread ends a moment after the write is told
		if lowered(t, normal) == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d threads keep a lower priority", lowered(t, normal))
}
