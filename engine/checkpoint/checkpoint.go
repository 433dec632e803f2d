// Package checkpoint keeps the state of a run on disk: one directory a checkpoint, whole or absent. It is written under
// a temporary name, every file and the directory are synced, then it is renamed; SHA-256 of every file stands in
// state.json, so that a torn or damaged one is found and the newest whole one is used.
package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"attune/internal/disk"
	"attune/internal/safetensors"
	"attune/internal/smallfile"
	"attune/internal/wholedir"
)

// Format is the version of the layout; a reader refuses others by name.
const Format = 1

const (
	stateName     = "state.json"
	weightsName   = "weights.safetensors"
	optimizerName = "optimizer.safetensors"
	prefix        = "step-"
)

// maxState bounds state.json, in bytes; it has some thousand.
const maxState = 4 << 20

// ErrCorrupt marks a checkpoint that is not whole.
var ErrCorrupt = errors.New("checkpoint is not whole")

// State is everything of a run but its tensors. A step number is enough for the data cursor, the order and dropout: all
// are functions of it and the seed.
type State struct {
	Format        int               `json:"format"`
	Step          int               `json:"step"`  // optimizer steps done
	Total         int               `json:"total"` // optimizer steps of the whole run
	Tokens        int64             `json:"tokens"`
	TrainedTokens int64             `json:"trained_tokens"`
	Seconds       float64           `json:"seconds"`         // spent training, over all parts of the run
	FirstLoss     *float64          `json:"first_eval_loss"` // before the first step; nil = not evaluated yet
	BestStep      int               `json:"best_step"`
	BestLoss      *float64          `json:"best_loss"`          // nil = not evaluated yet
	BadEvals      int               `json:"bad_evals"`          // evaluations since the best one
	EvalLoss      *float64          `json:"last_eval_loss"`     // nil = not evaluated yet
	EvalDue       bool              `json:"eval_due,omitempty"` // the evaluation after Step was interrupted
	Stopped       string            `json:"stopped,omitempty"`
	Identity      map[string]string `json:"identity"` // what must not change: hashes of model, template, tokenizer, special tokens, data, eval, recipe
	Files         map[string]string `json:"files"`    // SHA-256 of the other files
}

// Dir is the directory of the checkpoint after step under root.
func Dir(root string, step int) string {
	return filepath.Join(root, fmt.Sprintf("%s%06d", prefix, step))
}

// Save writes the checkpoint of st.Step under root and returns its directory. An older one of the same step is replaced.
func Save(root string, st State, weights, optimizer []safetensors.Tensor) (string, error) {
	dir := Dir(root, st.Step)
	st.Format, st.Files = Format, map[string]string{}
	err := wholedir.Write(disk.OS(), dir, func(d *wholedir.Dir) error {
		for name, tensors := range map[string][]safetensors.Tensor{weightsName: weights, optimizerName: optimizer} {
			hash := sha256.New()
			err := d.Write(name, func(w io.Writer) error { return safetensors.Encode(io.MultiWriter(w, hash), tensors, nil) })
			if err != nil {
				return err
			}
			st.Files[name] = hex.EncodeToString(hash.Sum(nil))
		}
		b, err := json.MarshalIndent(st, "", "  ")
		if err != nil {
			return err
		}
		return d.WriteFile(stateName, append(b, '\n'))
	})
	if err != nil {
		return "", fmt.Errorf("save checkpoint: %w", err)
	}
	return dir, nil
}

// Checkpoint is a whole one, opened: its files are mapped until Close.
type Checkpoint struct {
	State
	Dir       string
	Weights   *safetensors.File
	Optimizer *safetensors.File
}

// Open reads the checkpoint in dir after comparing every file with its hash. What is missing or damaged is ErrCorrupt;
// another format and a file that cannot be read now are not: the checkpoint may be whole.
func Open(dir string) (*Checkpoint, error) {
	b, err := smallfile.Read(filepath.Join(dir, stateName), maxState)
	if err != nil {
		return nil, fault(dir, err)
	}
	c := &Checkpoint{Dir: dir}
	if err := json.Unmarshal(b, &c.State); err != nil {
		return nil, fmt.Errorf("%s: %w: %s: %w", dir, ErrCorrupt, stateName, err)
	}
	if c.Format != Format {
		return nil, fmt.Errorf("%s: checkpoint format %d; this version of attune reads format %d: resume with the version that wrote it, or take another run_dir", dir, c.Format, Format)
	}
	for _, name := range []string{weightsName, optimizerName} {
		got, err := hashFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fault(dir, err)
		}
		if got != c.Files[name] {
			return nil, fmt.Errorf("%s: %w: %s does not have the SHA-256 that %s names", dir, ErrCorrupt, name, stateName)
		}
	}
	if c.Weights, err = safetensors.Open(filepath.Join(dir, weightsName)); err != nil {
		return nil, fault(dir, err)
	}
	if c.Optimizer, err = safetensors.Open(filepath.Join(dir, optimizerName)); err != nil {
		return nil, errors.Join(fault(dir, err), c.Weights.Close())
	}
	return c, nil
}

// fault tells a checkpoint of which something is missing or no safetensors file from one that the system does not let
// us read: access denied, an input/output error, no more open files.
func fault(dir string, err error) error {
	var system syscall.Errno
	if errors.As(err, &system) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read checkpoint %s: %w", dir, err)
	}
	return fmt.Errorf("%s: %w: %w", dir, ErrCorrupt, err)
}

// Close unmaps the files.
func (c *Checkpoint) Close() error { return errors.Join(c.Weights.Close(), c.Optimizer.Close()) }

// Latest opens the newest whole checkpoint under root, nil where there is no checkpoint at all. Damaged ones that are
// newer are passed over, and named in skipped; that all are damaged, or that one cannot be judged, is an error.
func Latest(root string) (c *Checkpoint, skipped []error, err error) {
	steps, err := list(root)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Backward(steps) {
		c, err := Open(filepath.Join(root, name))
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
			len(skipped), root, errors.Join(skipped...))
	}
	return nil, nil, nil
}

// list names the checkpoints under root, oldest first.
func list(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := stepOf(e.Name()); ok && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := stepOf(a)
		y, _ := stepOf(b)
		return x - y
	})
	return names, nil
}

func stepOf(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok || digits == "" || len(digits) > 12 {
		return 0, false
	}
	n := 0
	for _, r := range digits {
		if r < '0' || r > '9' {
			return 0, false
		}
		n = n*10 + int(r-'0')
	}
	return n, true
}

// Prune removes all but the newest keep checkpoints and the one of step best, and what unfinished writes left behind.
func Prune(root string, keep, best int) error {
	names, err := list(root)
	if err != nil {
		return err
	}
	for i, name := range names {
		if step, _ := stepOf(name); i < len(names)-keep && step != best {
			if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
				return fmt.Errorf("remove old checkpoint: %w", err)
			}
		}
	}
	return Sweep(root)
}

// Sweep tidies up after writes under root that were cut off. Only the run that holds the lock may call it.
func Sweep(root string) error { return wholedir.Sweep(disk.OS(), root, prefix) }

func hashFile(path string) (string, error) {
	f, err := smallfile.OpenRegular(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
