// Package smallfile reads files that have no business being large: configurations, templates. A broken or hostile one
// cannot take the machine's memory.
package smallfile

import (
	"fmt"
	"io"
	"os"
)

// Read is os.ReadFile for a file of at most limit bytes. It counts what it reads, so that neither a file that grows nor
// one whose size the system does not know gets by.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: at most %d bytes are expected, and it has more", path, limit)
	}
	return b, nil
}
