// Package safetensors reads and writes the safetensors format (github.com/huggingface/safetensors, "Format"): eight
// bytes with the length of a JSON header, the header, then the tensors' bytes without gaps. Files are mapped, not read,
// and are hostile until checked: every error names the file and what in it is wrong, and wraps ErrInvalid.
package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"attune/internal/disk"
	"attune/internal/smallfile"
)

// ErrInvalid marks files that are not what the format says, as against files that cannot be opened.
var ErrInvalid = errors.New("not a valid safetensors file")

// maxHeader is the format's own limit on the header.
const maxHeader = 100 << 20

// sizes are the bytes of one element of every dtype the format knows.
var sizes = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
	"U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4,
	"U64": 8, "I64": 8, "F64": 8,
}

// Info describes one tensor of a file.
type Info struct {
	Name   string
	Dtype  string // as the format spells it: F32, F16, BF16, ...
	Shape  []int  // empty = scalar
	Offset int64  // first byte, from the beginning of the file
	Bytes  int64
}

// File is one mapped safetensors file.
type File struct {
	path     string
	data     []byte
	unmap    func() error
	tensors  []Info // in the order of their bytes
	index    map[string]int
	metadata map[string]string
}

// Open maps the file at path and checks its header completely; the tensors' bytes are not touched.
func Open(path string) (*File, error) {
	f, err := smallfile.OpenRegular(path)
	if err != nil {
		return nil, fmt.Errorf("open weights: %w", err)
	}
	return open(f, path)
}

// OpenIn is Open of a file of fs: below an open directory, it is that directory's whatever its path has come to mean.
func OpenIn(fs disk.FS, name string) (*File, error) {
	f, err := fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open weights: %w", err)
	}
	return open(f, fs.Path(name))
}

// open maps a file and closes it.
func open(f disk.File, path string) (*File, error) {
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open weights: %w", err)
	}
	if st.Size() < 8 {
		return nil, fmt.Errorf("read %s: %w: %d bytes, too short for a header", path, ErrInvalid, st.Size())
	}
	data, unmap, err := mapFile(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	s := &File{path: path, data: data, unmap: unmap}
	if err := s.parse(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w: %w", path, ErrInvalid, err), unmap())
	}
	return s, nil
}

// copied is what a file holds, read.
func copied(f disk.File, size int64) ([]byte, func() error, error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, nil, err
	}
	return b, func() error { return nil }, nil
}

// parse fills in tensors and metadata from the header of s.data.
func (s *File) parse() error {
	n := binary.LittleEndian.Uint64(s.data)
	if n > maxHeader {
		return fmt.Errorf("header of %d bytes; at most %d are allowed", n, maxHeader)
	}
	if n > uint64(len(s.data)-8) {
		return fmt.Errorf("header of %d bytes in a file of %d; the file is cut short", n, len(s.data))
	}
	start := 8 + int64(n)
	var err error
	if s.tensors, s.metadata, err = parseHeader(s.data[8:start]); err != nil {
		return err
	}
	slices.SortStableFunc(s.tensors, func(a, b Info) int {
		if a.Offset != b.Offset {
			return int(max(-1, min(1, a.Offset-b.Offset)))
		}
		return int(max(-1, min(1, a.Bytes-b.Bytes)))
	})
	s.index = make(map[string]int, len(s.tensors))
	at, size := int64(0), int64(len(s.data))-start
	for i := range s.tensors {
		t := &s.tensors[i]
		switch {
		case t.Offset < at:
			return fmt.Errorf("tensor %s at byte %d overlaps the one before it, which ends at %d", quote(t.Name), t.Offset, at)
		case t.Offset > at:
			return fmt.Errorf("%d unused bytes before tensor %s", t.Offset-at, quote(t.Name))
		case t.Bytes > size-t.Offset:
			return fmt.Errorf("tensor %s ends at byte %d of %d; the file is cut short", quote(t.Name), t.Offset+t.Bytes, size)
		}
		at = t.Offset + t.Bytes
		t.Offset += start
		s.index[t.Name] = i
	}
	if at != size {
		return fmt.Errorf("%d unused bytes after the last tensor", size-at)
	}
	return nil
}

// Tensors lists the file's tensors in the order of their bytes.
func (s *File) Tensors() []Info { return slices.Clone(s.tensors) }

// Info is the tensor called name.
func (s *File) Info(name string) (Info, bool) {
	i, ok := s.index[name]
	if !ok {
		return Info{}, false
	}
	return s.tensors[i], true
}

// Data is the tensor's bytes, little-endian, a view of the mapped file: read-only, valid until Close. It is nil if
// there is no such tensor.
func (s *File) Data(name string) []byte {
	i, ok := s.index[name]
	if !ok {
		return nil
	}
	t := s.tensors[i]
	return s.data[t.Offset : t.Offset+t.Bytes : t.Offset+t.Bytes]
}

// Release lets go of the memory that reading a tensor took. Its bytes stay valid: they come from the file again where
// they are needed.
func (s *File) Release(name string) {
	if i, ok := s.index[name]; ok {
		t := s.tensors[i]
		release(s.data, t.Offset, t.Offset+t.Bytes)
	}
}

// Metadata is the header's __metadata__, nil if there is none.
func (s *File) Metadata() map[string]string { return s.metadata }

// Path is where the file was opened.
func (s *File) Path() string { return s.path }

// Close unmaps the file; views of it must not be used any more.
func (s *File) Close() error {
	if s.unmap == nil {
		return nil
	}
	u := s.unmap
	s.unmap, s.data, s.index, s.tensors = nil, nil, nil, nil
	return u()
}
