package wholedir

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Read opens something of several files in a directory of Write's. Where dir was replaced meanwhile, so that some of them
// may be of the old one and some of the new, it is closed and opened again.
func Read[T io.Closer](dir string, open func() (T, error)) (T, error) {
	var none T
	for range 10 {
		before, err := os.Stat(dir)
		if err != nil {
			return open() // which says it in its own words
		}
		x, err := open()
		after, serr := os.Stat(dir)
		if serr == nil && os.SameFile(before, after) && before.ModTime().Equal(after.ModTime()) { // a number is used again
			return x, err
		}
		if err == nil {
			if err := x.Close(); err != nil {
				return none, err
			}
		}
	}
	return none, fmt.Errorf("read %s: %w", dir, errReplaced)
}

var errReplaced = errors.New("it is replaced over and over; wait until who writes it is done")
