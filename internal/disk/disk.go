// Package disk is the one door through which attune changes files: the system's own (OS), or those below one directory
// out of which no link leads (In). What must be whole or absent is made by Create, and by package wholedir.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"attune/internal/smallfile"
)

// FS changes files by name: names below a directory for In, any for OS. A name is reached through links as the system
// does it; Rename, Exchange, Remove, RemoveAll and Lstat take the last part of a name as it is.
type FS interface {
	// OpenFile is os.OpenFile for regular files: a pipe, a device, a directory is smallfile.ErrNotRegular at once.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	MkdirAll(name string, perm fs.FileMode) error
	Mkdir(name string, perm fs.FileMode) error
	Rename(from, to string) error
	// Exchange swaps two files or directories in one step; errors.ErrUnsupported where the system cannot.
	Exchange(a, b string) error
	Remove(name string) error
	RemoveAll(name string) error
	// SyncDir makes the names in a directory survive the machine: those made, renamed and removed so far.
	SyncDir(name string) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Lstat(name string) (fs.FileInfo, error)
	// Path is where a name lies, for people and for readers that map a file.
	Path(name string) string
}

// File is an open regular file.
type File interface {
	io.ReadWriteSeeker
	io.ReaderAt
	io.Closer
	Name() string
	Truncate(size int64) error
	// Sync makes the file's bytes survive the machine; its name does after SyncDir.
	Sync() error
	Stat() (fs.FileInfo, error)
}

// OS is the system's files, names as they are.
func OS() FS { return system{} }

type system struct{}

func (system) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	return openRegular(name, flag, os.Stat, func(flag int) (*os.File, error) { return os.OpenFile(name, flag, perm) })
}

// openRegular looks first, since to open some devices is to use them, and again behind the opening. O_NONBLOCK says
// nothing to a regular file; it is for the pipe that took its place in between.
func openRegular(name string, flag int, stat func(string) (fs.FileInfo, error), open func(flag int) (*os.File, error)) (File, error) {
	if st, err := stat(name); err == nil {
		if err := smallfile.Regular(name, st); err != nil {
			return nil, err
		}
	}
	f, err := open(flag | syscall.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil {
		err = smallfile.Regular(name, st)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (system) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (system) Mkdir(name string, perm fs.FileMode) error    { return os.Mkdir(name, perm) }
func (system) Rename(from, to string) error                 { return os.Rename(from, to) }
func (system) Remove(name string) error                     { return os.Remove(name) }
func (system) RemoveAll(name string) error                  { return os.RemoveAll(name) }
func (system) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (system) Lstat(name string) (fs.FileInfo, error)       { return os.Lstat(name) }
func (system) Path(name string) string                      { return name }

func (system) Exchange(a, b string) error {
	return linkError("exchange", a, b, exchange(atWorkingDir, a, atWorkingDir, b))
}

func (system) SyncDir(name string) error {
	return syncDir(os.Open(name))
}

// syncDir syncs and closes a directory that was opened. One that may be written and not read cannot be synced by who may
// not. Some file systems (of networks, of user space) have no such thing and say EINVAL or ENOTSUP: they keep names in
// their own way.
func syncDir(d *os.File, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

func linkError(op, a, b string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: a, New: b, Err: err}
}
