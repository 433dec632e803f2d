package disktest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"attune/internal/disk"
)

// tree remembers, of the names and files that were changed, what of them survives the power: the names of a directory as
// they were when it was last synced, the bytes of a file as they were when it was. Names that nobody touched are not in
// it and are left as they are.
type tree struct {
	disk disk.FS
	root *node
}

// node is a file or a directory, whatever its names are.
type node struct {
	dir    bool
	names  map[string]*name // of a directory
	synced []byte           // of a file: what was there at its last sync
	dirty  bool             // it was changed since
	now    []byte           // while the power is cut, what the system held
}

// name is what a name in a directory means; nil = nothing.
type name struct {
	now, kept *node // in the system, and on the disk
}

func newTree(d disk.FS) tree { return tree{d, &node{dir: true, names: map[string]*name{}}} }

// join is a path as the tree splits it: the roots of absolute and of relative names are two.
func join(dir, base string) string { return filepath.Join(dir, base) }

// upTo lists the directories on the way to a path, the outermost first, and the path itself.
func upTo(path string) []string {
	path = filepath.Clean(path)
	var all []string
	for {
		all = append([]string{path}, all...)
		up := filepath.Dir(path)
		if up == path || up == "." {
			return all
		}
		path = up
	}
}

// at finds a path's name, after looking at the disk for what nobody touched yet. Nil where a directory above is missing.
func (t *tree) at(path string) (*name, error) {
	n := t.root
	var last *name
	for _, p := range upTo(path) {
		if n == nil || !n.dir {
			return nil, nil
		}
		if n.names[p0(p)] == nil {
			found, err := t.find(p)
			if err != nil {
				return nil, err
			}
			n.names[p0(p)] = &name{found, found}
		}
		last = n.names[p0(p)]
		n = last.now
	}
	return last, nil
}

// p0 is the name of a path in its directory; an absolute root and "." are names, too.
func p0(path string) string {
	if path == string(filepath.Separator) || path == "." {
		return path
	}
	return filepath.Base(path)
}

// find makes a node of what is on the disk.
func (t *tree) find(path string) (*node, error) {
	st, err := t.disk.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := &node{dir: st.IsDir(), names: map[string]*name{}}
	if st.Mode().IsRegular() {
		n.synced, err = t.read(path)
	}
	return n, err
}

func (t *tree) read(path string) ([]byte, error) {
	f, err := t.disk.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// all looks at everything under a directory that is about to go or move, so that it can be made again.
func (t *tree) all(path string, n *node) error {
	if n == nil || !n.dir {
		return nil
	}
	entries, err := t.disk.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		inner, err := t.at(join(path, e.Name()))
		if err != nil {
			return err
		}
		if err := t.all(join(path, e.Name()), inner.now); err != nil {
			return err
		}
	}
	return nil
}

// look is to be called before a name is made.
func (t *tree) look(path string) error {
	_, err := t.at(path)
	return err
}

// opened is the node of a file that is opened to be written, nil where there is none.
func (t *tree) opened(path string) (*node, error) {
	n, err := t.at(path)
	if n == nil || err != nil {
		return nil, err
	}
	return n.now, nil
}

// make enters a new file or directory.
func (t *tree) make(path string, dir bool) *node {
	n := &node{dir: dir, names: map[string]*name{}, dirty: true}
	if at, err := t.at(path); err == nil && at != nil {
		at.now = n
	}
	return n
}

func (t *tree) removed(path string, do func() error) error {
	at, err := t.at(path)
	if err == nil && at != nil {
		err = t.all(path, at.now)
	}
	if err == nil {
		err = do()
	}
	if err == nil && at != nil {
		at.now = nil
	}
	return err
}

func (t *tree) moved(from, to string, do func() error) error {
	a, b, err := t.pair(from, to)
	if err == nil {
		err = do()
	}
	if err == nil && a != nil && b != nil {
		a.now, b.now = nil, a.now
	}
	return err
}

func (t *tree) exchanged(from, to string, do func() error) error {
	a, b, err := t.pair(from, to)
	if err == nil {
		err = do()
	}
	if err == nil && a != nil && b != nil {
		a.now, b.now = b.now, a.now
	}
	return err
}

// pair finds two names, with all that is under them.
func (t *tree) pair(from, to string) (a, b *name, err error) {
	if a, err = t.at(from); err == nil && a != nil {
		err = t.all(from, a.now)
	}
	if err != nil {
		return nil, nil, err
	}
	if b, err = t.at(to); err == nil && b != nil {
		err = t.all(to, b.now)
	}
	return a, b, err
}

func (t *tree) syncedDir(path string) {
	n := t.root
	if filepath.Clean(path) != "." { // names of In begin below "."
		at, err := t.at(path)
		if err != nil || at == nil {
			return
		}
		n = at.now
	}
	if n == nil {
		return
	}
	for _, x := range n.names {
		x.kept = x.now
	}
}

// cut makes the disk what the power leaves of it; late says whether names survive that were not synced.
func (t *tree) cut(late bool) error {
	t.disk = byPath{t.disk}
	if err := t.load("", t.root); err != nil {
		return err
	}
	return t.restore("", t.root, late)
}

// byPath is a disk whose root the program has closed already, as it ends.
type byPath struct{ disk.FS }

func (d byPath) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	return disk.OS().OpenFile(d.Path(name), flag, perm)
}

func (d byPath) Mkdir(name string, perm fs.FileMode) error {
	return disk.OS().Mkdir(d.Path(name), perm)
}

func (d byPath) RemoveAll(name string) error { return disk.OS().RemoveAll(d.Path(name)) }

// load reads what the system holds of files that were changed.
func (t *tree) load(dir string, n *node) (err error) {
	for base, x := range n.names {
		path := join(dir, base)
		if x.now == nil {
			continue
		}
		if x.now.dir {
			err = t.load(path, x.now)
		} else if x.now.dirty {
			x.now.now, err = t.read(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// left is what the power leaves of a file. Bytes stay that were synced and not written over. Behind them there is half of
// what was written since; late, nothing of it, and all that was synced where the file was only cut.
func (n *node) left(late bool) []byte {
	if !n.dirty || n.now == nil { // unchanged, or gone
		return n.synced
	}
	same := 0
	for same < min(len(n.now), len(n.synced)) && n.now[same] == n.synced[same] {
		same++
	}
	switch {
	case late && same == len(n.now):
		return n.synced
	case late:
		return n.now[:same]
	}
	return n.now[:same+(len(n.now)-same)/2]
}

func (t *tree) restore(dir string, n *node, late bool) error {
	for base, x := range n.names {
		path, want := join(dir, base), x.kept
		if late {
			want = x.now
		}
		switch {
		case want != nil && want == x.now && want.dir:
			if err := t.restore(path, want, late); err != nil {
				return err
			}
			continue
		case want != nil && want == x.now && !want.dirty, want == nil && x.now == nil:
			continue
		}
		if err := t.disk.RemoveAll(path); err != nil {
			return err
		}
		if err := t.build(path, want, late); err != nil {
			return err
		}
	}
	return nil
}

// build makes a file or directory that is not there.
func (t *tree) build(path string, n *node, late bool) error {
	if n == nil {
		return nil
	}
	if !n.dir {
		f, err := t.disk.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(n.left(late))
		return errors.Join(err, f.Close())
	}
	if err := t.disk.Mkdir(path, 0o755); err != nil {
		return err
	}
	for base, x := range n.names {
		want := x.kept
		if late {
			want = x.now
		}
		if err := t.build(join(path, base), want, late); err != nil {
			return err
		}
	}
	return nil
}

// PowerCut makes the disk what is left when the power goes, to be called after Die: names that were made, renamed or
// removed and whose directory was not synced are as before, and of bytes that were not synced half are there. f is of no
// use after it.
func (f *Faults) PowerCut() error { return f.cut(false) }

// PowerCutLate is PowerCut where the file system had written its journal of names, as they do in their own time, and no
// byte that was not synced.
func (f *Faults) PowerCutLate() error { return f.cut(true) }

func (f *Faults) cut(late bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	return f.tree.cut(late)
}
