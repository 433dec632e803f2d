package disktest

import (
	"errors"
	"io"
	"syscall"

	"attune/internal/disk"
)

// handle is an open file of Faults.
type handle struct {
	disk.File
	f    *Faults
	name string
	node *node

	append bool // every write is at the end
}

func (h *handle) Write(b []byte) (n int, err error) {
	some := func(count int) func() error {
		return func() error {
			n, err = h.write(b[:count])
			return err
		}
	}
	err = h.f.do(Op{Kind: "write", Name: h.name, Bytes: len(b)}, some(len(b)), some(len(b)/2))
	return n, err
}

// write writes as much of b as the disk has room for.
func (h *handle) write(b []byte) (int, error) {
	before, err := h.size()
	if err != nil {
		return 0, err
	}
	h.node.dirty = true
	fits := len(b)
	if h.f.free != nil { // bytes that are written over need no room; no caller mixes both in one write
		if at, err := h.Seek(0, io.SeekCurrent); err != nil {
			return 0, err
		} else if h.append {
			fits = int(min(int64(len(b)), max(0, *h.f.free)))
		} else if at+int64(len(b)) > before {
			fits = int(min(int64(len(b)), max(0, *h.f.free+before-max(at, 0))))
		}
	}
	n, err := h.File.Write(b[:fits])
	after, serr := h.size()
	h.f.freed(before - after)
	if err = errors.Join(err, serr); err == nil && n < len(b) {
		err = h.f.err(Op{Kind: "write", Name: h.name}, syscall.ENOSPC)
	}
	return n, err
}

func (h *handle) size() (int64, error) {
	st, err := h.File.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (h *handle) Truncate(size int64) error {
	return h.f.do(Op{Kind: "truncate", Name: h.name}, func() error {
		before, err := h.size()
		if err == nil {
			err = h.File.Truncate(size)
		}
		if err == nil {
			h.node.dirty = true
			h.f.freed(before - size)
		}
		return err
	}, nil)
}

func (h *handle) Sync() error {
	return h.f.do(Op{Kind: "sync", Name: h.name}, func() error {
		size, err := h.size()
		if err != nil {
			return err
		}
		b := make([]byte, size)
		if _, err := h.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		h.node.synced, h.node.dirty = b, false
		return nil
	}, nil)
}

func (h *handle) Read(b []byte) (int, error) {
	if err := h.f.alive("read", h.name); err != nil {
		return 0, err
	}
	return h.File.Read(b)
}

// Close closes the file even for the dead, as the system does.
func (h *handle) Close() error {
	err := h.File.Close()
	return errors.Join(h.f.alive("close", h.name), err)
}
