// Package smallfile opens files that may be anyone's. A named pipe, a device or a file without end behind a name that
// should be a configuration's can neither stop the program nor take the machine's memory.
package smallfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrNotRegular: there is something of that name, and it is no regular file.
var ErrNotRegular = errors.New("a regular file is needed")

// OpenRegular opens a regular file, or what a link to one names, for reading. Anything else is ErrNotRegular at once:
// opening a pipe waits for its writer, a terminal for its user, and a device may have no end.
func OpenRegular(path string) (*os.File, error) {
	st, err := os.Stat(path) // first, since to open some devices is to use them
	if err == nil {
		err = Regular(path, st)
	}
	if err != nil {
		return nil, err
	}
	// O_NONBLOCK says nothing to a regular file; it is for what took its place in between.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err = f.Stat(); err == nil {
		err = Regular(path, st)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Regular is ErrNotRegular for all that is not a regular file, in words that name path.
func Regular(path string, st fs.FileInfo) error {
	what := "a device"
	switch m := st.Mode(); {
	case m.IsRegular():
		return nil
	case m.IsDir():
		what = "a directory"
	case m&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case m&fs.ModeSocket != 0:
		what = "a socket"
	}
	return fmt.Errorf("%s is %s; %w", path, what, ErrNotRegular)
}

// Read is os.ReadFile for a regular file of at most limit bytes. It counts what it reads, so that neither a file that
// grows nor one whose size the system does not know gets by.
func Read(path string, limit int64) ([]byte, error) {
	f, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadOpen(f, path, limit)
}

// ReadOpen is Read of a file that was opened already; path names it.
func ReadOpen(f fs.File, path string, limit int64) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are expected", path, st.Size(), limit)
	}
	b := make([]byte, 0, st.Size()+1) // the one byte finds the end without another, larger buffer
	for int64(len(b)) <= limit {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := f.Read(b[len(b):min(int64(cap(b)), limit+1)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s has more than the %d bytes that are expected at most", path, limit)
}
