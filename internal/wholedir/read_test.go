package wholedir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"attune/internal/disk"
)

// pair is what two files held that belong together.
type pair struct {
	a, b   string
	closed *int
}

func (p pair) Close() error {
	*p.closed++
	return nil
}

// A reader between whose two files the directory is replaced reads again.
func TestReadIsOfOneDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	write := func(text string) {
		t.Helper()
		if err := Write(disk.OS(), dir, func(d *Dir) error { return errors.Join(d.WriteFile("a", []byte(text)), d.WriteFile("b", []byte(text))) }); err != nil {
			t.Fatal(err)
		}
	}
	closed := 0
	read := func(between func()) (pair, error) {
		return Read(dir, func() (pair, error) {
			a, err := os.ReadFile(filepath.Join(dir, "a"))
			if err != nil {
				return pair{}, err
			}
			between()
			b, err := os.ReadFile(filepath.Join(dir, "b"))
			return pair{string(a), string(b), &closed}, err
		})
	}
	if _, err := read(func() {}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	write("old")
	times := 0
	p, err := read(func() {
		if times++; times == 1 {
			write("new")
		}
	})
	if err != nil || p.a != "new" || p.b != "new" || closed != 1 {
		t.Errorf("%q and %q, %v, closed %d times", p.a, p.b, err, closed)
	}
	times = 0
	if _, err := read(func() { times++; write("again") }); !errors.Is(err, errReplaced) || times != 10 || closed != 11 {
		t.Errorf("%v after %d times, closed %d", err, times, closed)
	}
	if _, err := read(func() { _ = os.Remove(filepath.Join(dir, "b")) }); !errors.Is(err, os.ErrNotExist) || closed != 11 {
		t.Errorf("%v, closed %d", err, closed)
	}
}
