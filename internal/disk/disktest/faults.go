// Package disktest is a disk that fails in tests: any one of its operations can fail, tear, wait or be the last one
// before the process is killed or the power goes; it can be full. What a reader finds then is the test's to say.
package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"

	"attune/internal/disk"
)

// ErrDied is what every operation says after Die: the process that asks is gone.
var ErrDied = errors.New("the process was killed")

// Op is an operation that changes something on the disk.
type Op struct {
	Kind  string // create, write, truncate, sync, mkdir, rename, exchange, remove, removeall, syncdir
	Name  string
	To    string // of rename and exchange
	Bytes int    // of write
}

func (o Op) String() string {
	switch {
	case o.To != "":
		return o.Kind + " " + o.Name + " -> " + o.To
	case o.Kind == "write":
		return fmt.Sprintf("write %s (%d bytes)", o.Name, o.Bytes)
	}
	return o.Kind + " " + o.Name
}

// Mode is what happens at an operation.
type Mode struct {
	err     error
	torn    bool // half of it is done
	dies    bool
	release <-chan struct{}
}

// Fail is an operation that is not done and says err.
func Fail(err error) Mode { return Mode{err: err} }

// Short is a write of half the bytes, and then err; of removing a tree, half of its files. What cannot be halved fails.
func Short(err error) Mode { return Mode{err: err, torn: true} }

// Hold is an operation that waits until release is closed, and is done then. Others go on meanwhile. Ops has it as soon as
// it waits, and what When asks is asked before.
func Hold(release <-chan struct{}) Mode { return Mode{release: release} }

// Die is an operation in the middle of which the process is killed: half of it is done, as by Short, and nothing after
// it, no clean-up either.
func Die() Mode { return Mode{err: ErrDied, torn: true, dies: true} }

// Faults is a disk with faults. Its methods may be called by several goroutines.
type Faults struct {
	inner disk.FS

	mu    sync.Mutex
	ops   []Op
	plan  []planned
	dead  bool
	onDie func()
	free  *int64 // bytes; nil = no end
	tree  tree
}

type planned struct {
	match func(i int, op Op) bool
	mode  Mode
}

// New is fs without faults as yet. What is there already is as good as synced; what is synced from now on is remembered, and
// not waited for.
func New(fs disk.FS) *Faults { return &Faults{inner: fs, tree: newTree(fs)} }

// Ops are the operations so far, also those that failed. A first run without faults says which there are; each in turn
// can then be made to fail in a run of its own.
func (f *Faults) Ops() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ops)
}

// At gives operation i, counted from 0 over the life of f, a fault.
func (f *Faults) At(i int, m Mode) { f.add(func(n int, _ Op) bool { return n == i }, m) }

// When gives every operation a fault that match says it has.
func (f *Faults) When(match func(Op) bool, m Mode) {
	f.add(func(_ int, op Op) bool { return match(op) }, m)
}

func (f *Faults) add(match func(int, Op) bool, m Mode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = append(f.plan, planned{match, m})
}

// Heal takes all faults away, a full disk too; who died stays dead.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan, f.free = nil, nil
}

// Full leaves so many bytes free from now on. A write takes those that are left and says ENOSPC, as making a directory
// does where none is; what is removed, cut or replaced is free again.
func (f *Faults) Full(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free = &bytes
}

// Dead says whether an operation has been the last.
func (f *Faults) Dead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// do counts an operation and does it, or what its fault leaves of it. half may be nil; both are called with f locked.
func (f *Faults) do(op Op, whole func() error, half func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return f.err(op, ErrDied)
	}
	i, mode := len(f.ops), Mode{}
	f.ops = append(f.ops, op)
	for _, p := range f.plan {
		if p.match(i, op) {
			mode = p.mode
		}
	}
	if mode.release != nil {
		f.mu.Unlock()
		<-mode.release
		f.mu.Lock()
		if f.dead {
			return f.err(op, ErrDied)
		}
	}
	if mode.err == nil {
		return whole()
	}
	if mode.torn && half != nil {
		if err := half(); err != nil {
			return err
		}
	}
	if mode.dies {
		f.dead = true
		if f.onDie != nil {
			f.onDie()
		}
	}
	return f.err(op, mode.err)
}

func (f *Faults) err(op Op, err error) error {
	return &fs.PathError{Op: op.Kind, Path: f.inner.Path(op.Name), Err: err}
}

// alive is for what only reads.
func (f *Faults) alive(kind, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return f.err(Op{Kind: kind, Name: name}, ErrDied)
	}
	return nil
}

// OpenFile counts where it makes a file or empties one.
func (f *Faults) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	if err := f.alive("open", name); err != nil {
		return nil, err
	}
	if flag&os.O_WRONLY != 0 { // what is synced is read then
		flag = flag&^os.O_WRONLY | os.O_RDWR
	}
	if flag&os.O_RDWR == 0 {
		return f.inner.OpenFile(name, flag, perm)
	}
	var file disk.File
	open := func() error {
		before := f.size(name)
		n, err := f.tree.opened(name)
		if err != nil {
			return err
		}
		inner, err := f.inner.OpenFile(name, flag, perm)
		if err != nil {
			return err
		}
		if n == nil {
			n = f.tree.make(name, false)
		}
		if flag&os.O_TRUNC != 0 {
			f.freed(before)
			n.dirty = true
		}
		file = &handle{File: inner, f: f, name: name, node: n, append: flag&os.O_APPEND != 0}
		return nil
	}
	_, err := f.inner.Lstat(name)
	if missing := errors.Is(err, fs.ErrNotExist); missing && flag&os.O_CREATE != 0 || !missing && flag&os.O_TRUNC != 0 {
		err = f.do(Op{Kind: "create", Name: name}, open, nil)
	} else {
		f.mu.Lock()
		defer f.mu.Unlock()
		err = open()
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (f *Faults) Mkdir(name string, perm fs.FileMode) error {
	return f.do(Op{Kind: "mkdir", Name: name}, func() error { return f.mkdir(name, perm) }, nil)
}

func (f *Faults) mkdir(name string, perm fs.FileMode) error {
	if f.free != nil && *f.free <= 0 {
		return f.err(Op{Kind: "mkdir", Name: name}, syscall.ENOSPC)
	}
	if err := f.tree.look(name); err != nil {
		return err
	}
	if err := f.inner.Mkdir(name, perm); err != nil {
		return err
	}
	f.tree.make(name, true)
	return nil
}

// MkdirAll counts each directory that it makes as one operation.
func (f *Faults) MkdirAll(name string, perm fs.FileMode) error {
	for _, dir := range upTo(name) {
		if _, err := f.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			if err := f.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	if err := f.alive("mkdir", name); err != nil {
		return err
	}
	return f.inner.MkdirAll(name, perm) // says so if it is a file
}

func (f *Faults) Rename(from, to string) error {
	return f.do(Op{Kind: "rename", Name: from, To: to}, func() error {
		replaced := f.size(to)
		return f.tree.moved(from, to, func() error {
			err := f.inner.Rename(from, to)
			if err == nil {
				f.freed(replaced)
			}
			return err
		})
	}, nil)
}

func (f *Faults) Exchange(a, b string) error {
	return f.do(Op{Kind: "exchange", Name: a, To: b}, func() error {
		return f.tree.exchanged(a, b, func() error { return f.inner.Exchange(a, b) })
	}, nil)
}

func (f *Faults) Remove(name string) error {
	return f.do(Op{Kind: "remove", Name: name}, func() error { return f.remove(name) }, nil)
}

func (f *Faults) remove(name string) error {
	size := f.size(name)
	return f.tree.removed(name, func() error {
		err := f.inner.Remove(name)
		if err == nil {
			f.freed(size)
		}
		return err
	})
}

func (f *Faults) RemoveAll(name string) error {
	part := func(of int) func() error {
		return func() error {
			all, err := f.below(name)
			if err != nil {
				return err
			}
			for _, one := range all[:len(all)/of] {
				if err := f.remove(one); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return f.do(Op{Kind: "removeall", Name: name}, part(1), part(2))
}

// below lists name and what is under it, each after what it holds.
func (f *Faults) below(name string) ([]string, error) {
	st, err := f.inner.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []string
	if st.IsDir() {
		entries, err := f.inner.ReadDir(name)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			more, err := f.below(join(name, e.Name()))
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	return append(all, name), nil
}

func (f *Faults) SyncDir(name string) error {
	return f.do(Op{Kind: "syncdir", Name: name}, func() error {
		st, err := f.inner.Lstat(name)
		if err == nil && !st.IsDir() {
			err = f.err(Op{Kind: "syncdir", Name: name}, syscall.ENOTDIR)
		}
		if err == nil {
			f.tree.syncedDir(name)
		}
		return err
	}, nil)
}

func (f *Faults) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.alive("readdir", name); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(name)
}

func (f *Faults) Lstat(name string) (fs.FileInfo, error) {
	if err := f.alive("lstat", name); err != nil {
		return nil, err
	}
	return f.inner.Lstat(name)
}

func (f *Faults) Path(name string) string { return f.inner.Path(name) }

// size is how many bytes a file has, 0 where there is none.
func (f *Faults) size(name string) int64 {
	st, err := f.inner.Lstat(name)
	if err != nil || !st.Mode().IsRegular() {
		return 0
	}
	return st.Size()
}

func (f *Faults) freed(bytes int64) {
	if f.free != nil {
		*f.free += bytes
	}
}
