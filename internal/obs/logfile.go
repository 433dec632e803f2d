package obs

import (
	"bytes"
	"fmt"
	"os"

	"attune/internal/disk"
)

// logFile is a file of lines that is appended to. Half of a line, which a kill, a power cut or a full disk leaves, is cut
// off before the next: that would continue it, and no reader could make out either.
type logFile struct {
	disk.File
	torn bool
}

func openLog(fs disk.FS, name string) (*logFile, error) {
	f, err := fs.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &logFile{File: f, torn: true}, nil
}

// Write appends a line, whole or not at all where the disk lets it be cut off.
func (l *logFile) Write(line []byte) (int, error) {
	if l.torn {
		if err := l.mend(); err != nil {
			return 0, err
		}
	}
	n, err := l.File.Write(line)
	if l.torn = err != nil; l.torn {
		_ = l.mend() // or with the next line
	}
	return n, err
}

// mend cuts off what follows the last line's end. A file without one, as far back as a line may be long, is left as it is.
func (l *logFile) mend() error {
	st, err := l.Stat()
	if err != nil {
		return err
	}
	tail := make([]byte, min(st.Size(), maxLine))
	from := st.Size() - int64(len(tail))
	if _, err := l.ReadAt(tail, from); err != nil {
		return err
	}
	end := bytes.LastIndexByte(tail, '\n') + 1
	if end < len(tail) && (end > 0 || from == 0) {
		if err := l.Truncate(from + int64(end)); err != nil {
			return err
		}
	}
	l.torn = false
	return nil
}
