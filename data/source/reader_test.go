package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"attune/data"
)

// repeated is a stream of head, n times row, and tail, made as it is read.
type repeated struct {
	rest      string
	row, tail string
	n         int
}

func (s *repeated) Read(p []byte) (int, error) {
	for s.rest == "" {
		switch {
		case s.n > 0:
			s.rest = s.row
		case s.n == 0:
			s.rest = s.tail
		default:
			return 0, io.EOF
		}
		s.n--
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// TestMemory reads 32 MiB in rows of 16 KiB: the live heap stays far below that.
func TestMemory(t *testing.T) {
	text := strings.Repeat("x", 16<<10)
	for name, in := range map[string]*repeated{
		"lines": {n: 2048, row: `{"text": "` + text + `"}` + "\n"},
		"array": {n: 2048, rest: "[", row: `{"text": "` + text + `"},` + "\n", tail: `{"text": "end"}]`},
	} {
		r, err := NewReader(name, in, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		rows := 0
		for ; ; rows++ {
			_, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if rows%512 == 511 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
					t.Fatalf("%s: the heap has grown by %d bytes after %d rows", name, grown, rows)
				}
			}
		}
		if rows < 2048 {
			t.Errorf("%s: %d rows", name, rows)
		}
	}
}

// TestRowLimit: a row over the limit is refused without being held, and the rows after it are read.
func TestRowLimit(t *testing.T) {
	in := io.MultiReader(
		strings.NewReader("{\"text\": \"first\"}\n"),
		&repeated{rest: `{"text": "`, n: MaxRow>>20 + 1, row: strings.Repeat("x", 1<<20), tail: "\"}\n"},
		strings.NewReader("{\"text\": \"last\"}\n"))
	want := "row 1\n  text: \"first\"\nrows:2: the row takes more than 64 MiB; split or remove the row\nrow 3\n  text: \"last\"\n"
	if got := draw(in, Options{}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A row without end is not looked through for ever; nothing behind it is read.
func TestRowWithoutEnd(t *testing.T) {
	in := io.MultiReader(
		strings.NewReader("{\"text\": \"first\"}\n"),
		&repeated{rest: `{"text": "`, n: maxSkip>>20 + 1, row: strings.Repeat("x", 1<<20), tail: "\"}\n"},
		strings.NewReader("{\"text\": \"last\"}\n"))
	want := "row 1\n  text: \"first\"\nrows:2: the row takes more than 64 MiB; split or remove the row; nothing after it was read\n"
	if got := draw(in, Options{}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEachCollects(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	var text strings.Builder
	for i := range 30 {
		if i%3 == 2 {
			fmt.Fprintln(&text, `{"instruction": "A"}`)
		} else {
			fmt.Fprintln(&text, `{"instruction": "A", "output": "B"}`)
		}
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	good := 0
	err := each(t, path, Options{MaxErrors: 4}, func(c data.Conversation) error {
		if good++; c.Line == 5 {
			return &RowError{Position: c.Position, What: "row too long", Do: "cut it"}
		}
		return nil
	})
	want := strings.ReplaceAll(`PATH:3: "output" is missing; add it or remove the row
PATH:5: row too long; cut it
PATH:6: "output" is missing; add it or remove the row
PATH:9: "output" is missing; add it or remove the row
... and 7 more`, "PATH", path)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	var first *RowError
	if !errors.As(err, &first) || first.Line != 3 {
		t.Errorf("the first complaint in it is %v", first)
	}
	if good != 20 {
		t.Errorf("%d good rows, want 20", good)
	}
	stop := errors.New("stop")
	if err := each(t, path, Options{}, func(data.Conversation) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the callback's own error", err)
	}
	if _, err := readAll(t, filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for a file that is not there", err)
	}
	var bad *RowError
	if _, err := readAll(t, t.TempDir(), Options{}); !errors.As(err, &bad) {
		t.Errorf("got %v for a directory", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestReadFailure: what the disk says ends the file, and is not taken for a bad row.
func TestReadFailure(t *testing.T) {
	for _, head := range []string{strings.Repeat("{\"text\": \"A\"}\n", 10000), "[" + strings.Repeat("{\"text\": \"A\"},\n", 10000)} {
		r, err := NewReader("rows", io.MultiReader(strings.NewReader(head), failing{}), Options{})
		for err == nil {
			_, err = r.Next()
		}
		var bad *RowError
		if !errors.Is(err, io.ErrClosedPipe) || errors.As(err, &bad) {
			t.Errorf("got %v", err)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("after it: %v, want EOF", err)
		}
	}
}
