// Package checkpoint keeps the state of a run on disk: one directory a checkpoint, whole or absent. It is written under
// a temporary name, every file and the directory are synced, then it is renamed. SHA256SUMS holds the hash of every file,
// so that a torn or damaged one is found and the newest whole one is used. docs/checkpoints.md is the layout.
package checkpoint

import (
	"errors"
	"fmt"
	"strings"

	"attune/internal/safetensors"
)

// Format is the version of the layout that is written. Older ones are read; a newer one is refused by name.
const Format = 2

// Versions of the schemes that make the order of the rows and the dropout masks out of the seed and the step. A state
// that was reached by others cannot be gone on from; who changes a scheme raises its number.
const (
	orderScheme   = 1 // data/loader
	dropoutScheme = 1 // kernels/random.go
)

const (
	stateName     = "state.json"
	weightsName   = "weights.safetensors"
	optimizerName = "optimizer.safetensors"
	sumsName      = "SHA256SUMS"
	prefix        = "step-"
)

// ErrCorrupt marks a checkpoint that is not whole.
var ErrCorrupt = errors.New("checkpoint is not whole")

// State is everything of a run but its tensors. A step number is enough for the data cursor, the order and dropout: all
// are functions of it and the seed.
type State struct {
	Format        int               `json:"format"`  // as it was read; Save writes its own
	Step          int               `json:"step"`    // steps done
	Updates       int               `json:"updates"` // steps that changed the weights: the optimizer's count
	Total         int               `json:"total"`   // steps of the whole run
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
	Guard         *GuardState       `json:"guard,omitempty"`
	Random        Random            `json:"random"`
	Identity      map[string]string `json:"identity"` // what must not change: hashes of model, template, tokenizer, special tokens, data, eval, recipe
	Recipe        string            `json:"recipe"`   // the run file as it was understood; "" = not kept (format 1)
	Made          Made              `json:"made"`
}

// GuardState is what the watch over losses and gradients has seen, all of it finite.
type GuardState struct {
	Losses        []float64 `json:"losses"` // of the newest steps that were taken, oldest first
	Norms         []float64 `json:"norms"`  // their gradients' norms
	Skipped       []Span    `json:"skipped"`
	Interventions int       `json:"interventions"`
}

// Span are steps that changed nothing, From and To among them.
type Span struct {
	From       int    `json:"from"`
	To         int    `json:"to"`
	RolledBack bool   `json:"rolled_back"` // to the checkpoint before From
	Why        string `json:"why"`
}

// Random is what the order of the rows and dropout were made with. Save fills in the versions of the schemes.
type Random struct {
	Seed    int `json:"seed"`
	Order   int `json:"order"`
	Dropout int `json:"dropout"`
}

// Made is what wrote a checkpoint. Another device, instruction set or micro-batch goes on equal to rounding, not to the
// bit; another version or number of threads to the bit. It is empty where format 1 was read.
type Made struct {
	Attune           string `json:"attune"`
	Device           string `json:"device"`
	ISA              string `json:"isa"`
	Threads          int    `json:"threads"`
	MicroBatchTokens int    `json:"micro_batch_tokens"`
}

// Checkpoint is a whole one, opened: its files are mapped until Close.
type Checkpoint struct {
	State
	Dir       string
	Weights   *safetensors.File
	Optimizer *safetensors.File
}

// Close unmaps the files.
func (c *Checkpoint) Close() error { return errors.Join(c.Weights.Close(), c.Optimizer.Close()) }

// nameOf is the name of the checkpoint after a step.
func nameOf(step int) string { return fmt.Sprintf("%s%06d", prefix, step) }

// stepOf is the step of a name of nameOf's.
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
	return n, nameOf(n) == name
}
