package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"attune/internal/disk"
	"attune/internal/safetensors"
	"attune/internal/wholedir"
)

// Store is the checkpoints of one run: directories step-NNNNNN under Root. Its methods may be called side by side, but
// for Sweep, which is for when no write is under way.
type Store struct {
	FS        disk.FS
	Root      string // a name of FS
	Keep      int    // newest checkpoints kept; at least one is
	KeepEvery int    // those of its multiples are kept for good; 0 = none

	mu    sync.Mutex
	whole map[int]bool // of those that were written or read: whether they are whole
}

// Dir is where the checkpoint after a step lies, for people and for readers.
func (s *Store) Dir(step int) string { return s.FS.Path(s.name(step)) }

func (s *Store) name(step int) string { return filepath.Join(s.Root, nameOf(step)) }

// save writes the checkpoint of a step, whose state is encoded, and returns where it lies and what its files take. An older one
// of the same step is replaced. On an error what was there before is untouched.
func (s *Store) save(step int, state []byte, weights, optimizer []safetensors.Tensor) (dir string, bytes int64, err error) {
	err = wholedir.Write(s.FS, s.name(step), func(d *wholedir.Dir) error {
		all := sums{stateName: hashOf(state)}
		for _, f := range []struct {
			name    string
			tensors []safetensors.Tensor
		}{{weightsName, weights}, {optimizerName, optimizer}} {
			sum, n, err := write(d, f.name, f.tensors)
			if err != nil {
				return err
			}
			all[f.name], bytes = sum, bytes+n
		}
		text := all.text()
		bytes += int64(len(state) + len(text))
		if err := d.WriteFile(stateName, state); err != nil {
			return err
		}
		return d.WriteFile(sumsName, text)
	})
	if err != nil {
		return "", 0, fmt.Errorf("save checkpoint: %w", err)
	}
	s.remember(step, true)
	return s.Dir(step), bytes, nil
}

// write writes a file of tensors and hashes it on the way.
func write(d *wholedir.Dir, name string, tensors []safetensors.Tensor) (sum string, bytes int64, err error) {
	f, err := d.Create(name)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	w := &hashing{w: f, h: h}
	err = safetensors.Encode(w, tensors, nil)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return hex.EncodeToString(h.Sum(nil)), w.bytes, err
}

// Open reads the checkpoint after a step, having compared every file with its hash. What is missing or damaged is
// ErrCorrupt; another format and a file that cannot be read now are not: the checkpoint may be whole.
func (s *Store) Open(step int) (*Checkpoint, error) {
	c, err := s.open(s.name(step), step)
	if err == nil || errors.Is(err, ErrCorrupt) {
		s.remember(step, err == nil)
	}
	return c, err
}

func (s *Store) open(dir string, step int) (*Checkpoint, error) {
	path := s.FS.Path(dir)
	b, err := readFile(s.FS, filepath.Join(dir, stateName), maxState)
	if err != nil {
		return nil, fault(path, err)
	}
	all, sumsErr := s.sums(dir)
	if sum, ok := all[stateName]; ok && sum != hashOf(b) { // first: else a flipped bit could make another format of it
		return nil, damaged(path, stateName)
	}
	c := &Checkpoint{Dir: path}
	var files sums
	if c.State, files, err = decodeState(b, step); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Format == 1 {
		all = files
	} else if sumsErr == nil {
		sumsErr = all.check(stateName, weightsName, optimizerName)
	}
	if c.Format > 1 && sumsErr != nil {
		return nil, fault(path, sumsErr)
	}
	for _, name := range []string{weightsName, optimizerName} {
		got, err := hashFile(s.FS, filepath.Join(dir, name))
		if err != nil {
			return nil, fault(path, err)
		}
		if got != all[name] {
			return nil, damaged(path, name)
		}
	}
	if c.Weights, err = safetensors.OpenIn(s.FS, filepath.Join(dir, weightsName)); err != nil {
		return nil, fault(path, err)
	}
	if c.Optimizer, err = safetensors.OpenIn(s.FS, filepath.Join(dir, optimizerName)); err != nil {
		return nil, errors.Join(fault(path, err), c.Weights.Close())
	}
	return c, nil
}

func (s *Store) sums(dir string) (sums, error) {
	b, err := readFile(s.FS, filepath.Join(dir, sumsName), maxSums)
	if err != nil {
		return nil, err
	}
	return parseSums(b)
}

func damaged(path, name string) error {
	return fmt.Errorf("%s: %w: %s does not have the SHA-256 it was written with", path, ErrCorrupt, name)
}

// fault tells a checkpoint of which something is missing or no safetensors file from one that the system does not let
// us read: access denied, an input/output error, no more open files.
func fault(path string, err error) error {
	var system syscall.Errno
	if errors.As(err, &system) && !errors.Is(err, fs.ErrNotExist) || errors.Is(err, disk.ErrOutside) {
		return fmt.Errorf("read checkpoint %s: %w", path, err)
	}
	return fmt.Errorf("%s: %w: %w", path, ErrCorrupt, err)
}

// Latest opens the newest whole checkpoint, nil where there is no checkpoint at all. Damaged ones that are newer are
// passed over, and named in skipped; that all are damaged, or that one cannot be judged, is an error.
func (s *Store) Latest() (c *Checkpoint, skipped []error, err error) {
	steps, err := s.list()
	if err != nil {
		return nil, nil, err
	}
	for _, step := range slices.Backward(steps) {
		c, err := s.Open(step)
		if err == nil {
			return c, skipped, nil
		}
		if !errors.Is(err, ErrCorrupt) {
			return nil, skipped, err
		}
		skipped = append(skipped, err)
	}
	if len(skipped) > 0 {
		return nil, skipped, fmt.Errorf("none of the %d checkpoints in %s can be used; remove that directory to start over, or take another run_dir: %w",
			len(skipped), s.FS.Path(s.Root), errors.Join(skipped...))
	}
	return nil, nil, nil
}

// list is the steps that there are checkpoints of, oldest first.
func (s *Store) list() ([]int, error) {
	entries, err := s.FS.ReadDir(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var steps []int
	for _, e := range entries {
		if step, ok := stepOf(e.Name()); ok && e.IsDir() {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

func (s *Store) remember(step int, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.whole == nil {
		s.whole = map[int]bool{}
	}
	s.whole[step] = whole
}

func (s *Store) forget(step int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.whole, step)
}

// known says whether a checkpoint was judged, and was whole.
func (s *Store) known(step int) (whole, judged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole, judged = s.whole[step]
	return whole, judged
}
