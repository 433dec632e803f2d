package loader

import (
	"errors"
	"fmt"
	"os"
)

// ErrDisk is in the errors of a Set whose file cannot be written or read. Nothing is wrong with its examples.
var ErrDisk = errors.New("the rows' tokens are kept in a file without a name")

// spill is bytes that are only ever added to. With a directory all but the last ones lie in a file of it that has lost
// its name, so that the system removes it with the process, however that ends. A page of the file in the system's cache
// is not the process's memory, which a page mapped would be. The zero value keeps everything in memory.
type spill struct {
	dir   string
	limit int // bytes of tail
	file  *os.File
	filed int64  // bytes in file
	tail  []byte // those behind them
}

// tailBytes is how much waits in memory before it is written: sets that are smaller never touch the disk.
const tailBytes = 1 << 20

func (s *spill) size() int64 { return s.filed + int64(len(s.tail)) }

// settle ends a record, which append to tail began: no record lies in both file and tail.
func (s *spill) settle() error {
	if s.dir == "" || len(s.tail) < s.limit {
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, ".attune-rows.tmp-*") // of wholedir.Sweep's, where a kill comes between this and Remove
		if err == nil {
			err = os.Remove(f.Name())
		}
		if err != nil {
			return s.complain(err)
		}
		s.file = f
	}
	n, err := s.file.WriteAt(s.tail, s.filed)
	if err != nil {
		return s.complain(err)
	}
	s.filed += int64(n)
	s.tail = s.tail[:0]
	return nil
}

func (s *spill) complain(err error) error {
	return fmt.Errorf("%w in %s (%d MiB so far): %w; it needs 4 bytes a token: free some space there, or set run_dir or TMPDIR to another disk",
		ErrDisk, s.dir, s.size()>>20, err)
}

// at gives the n bytes from offset. They are only good until the next call of settle.
func (s *spill) at(offset int64, n int) ([]byte, error) {
	if offset >= s.filed {
		return s.tail[offset-s.filed:][:n], nil
	}
	b := make([]byte, n)
	if _, err := s.file.ReadAt(b, offset); err != nil {
		return nil, fmt.Errorf("%w in %s: read them back: %w", ErrDisk, s.dir, err)
	}
	return b, nil
}

func (s *spill) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
