package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"attune/data/chat"
	"attune/data/corpus"
	"attune/data/tokenizer"
	"attune/engine/model"
	"attune/internal/config"
	"attune/internal/obs"
	"attune/internal/smallfile"
)

// text is what stands between a model and words: its tokenizer, its chat template and the ids that end a turn.
type text struct {
	tok   *tokenizer.Tokenizer
	tmpl  *chat.Template // nil if the model has none and none was named; noTemplate says so
	stops []int32
	pad   int32

	kwargs map[string]any // further variables of the template, where there is no run file

	noTemplate error
}

// loadText reads the tokenizer of a model directory and the template that setting names. A model without a template is
// fine as long as only plain text is read.
func loadText(modelDir, setting string) (*text, error) {
	tok, err := tokenizer.Load(modelDir)
	if err != nil {
		return nil, err
	}
	t := &text{tok: tok}
	t.tmpl, t.noTemplate = chat.Resolve(setting, modelDir)
	if t.noTemplate != nil && setting != "" && setting != "auto" {
		return nil, asUsage(t.noTemplate)
	}
	if t.tmpl != nil {
		if t.stops, err = t.tmpl.Stops(tok, modelDir); err != nil {
			return nil, err
		}
	}
	if _, id, ok := tok.PAD(); ok {
		t.pad = id
	}
	return t, nil
}

// hash is the template's SHA-256, "" without one.
func (t *text) hash() string {
	if t.tmpl == nil {
		return ""
	}
	return t.tmpl.SHA256()
}

// corpusOptions are those of a run file, for a run of that date. What the model's files say of the template is looked at
// here: only rows need it.
func (t *text) corpusOptions(c config.Config, date time.Time) (corpus.Options, error) {
	o := corpus.Options{Template: t.tmpl, NoTemplate: t.noTemplate, Tokenizer: t.tok, Ends: t.stops, TrainOn: c.Data.TrainOn, System: c.System, SystemRatio: c.SystemRatio,
		Seed: uint64(c.Train.Seed), Now: date, MaxLength: c.Data.MaxLength, Overlength: chat.Policy(c.Data.Overlength), MaxCutShare: &c.Data.MaxCutShare, Kwargs: c.TemplateKwargs}
	if t.tmpl == nil {
		return o, nil
	}
	var err error
	if o.Stops, err = chat.OwnStops(t.tok, c.Model); err != nil {
		return o, err
	}
	o.Doubts, err = t.tmpl.Doubts(t.tok, c.Model)
	return o, err
}

// microTokens is the most tokens that examples are packed together for.
func microTokens(c config.Config) int {
	if n := c.Compute.MicroBatchTokens; n != 0 {
		return n
	}
	return max(2048, c.Data.MaxLength)
}

// reachable warns where the tokenizer has tokens that the model has no rows for: texts without them are fine, any other is
// refused when it is met.
func (t *text) reachable(w io.Writer, m *model.Config) {
	if n, v := t.tok.VocabSize(), m.VocabSize; n > v {
		fmt.Fprintf(w, "warning: the tokenizer's ids go up to %d, the model's vocab_size is %d: a text with a token from %d on will be refused\n", n-1, v, v)
	}
}

// known refuses the ids of a prompt that the model has no rows for.
func (t *text) known(ids []int32, m *model.Checkpoint) error {
	for _, id := range ids {
		if int(id) >= m.Config.VocabSize {
			token, _ := t.tok.Token(id)
			return usagef("token %q of the prompt has the id %d, but the model's vocab_size is %d; take the tokenizer the model was made with", token, id, m.Config.VocabSize)
		}
	}
	return nil
}

// forModel has rows refused that the model cannot read, and their tokens kept in dir.
func forModel(m *model.Config, dir string, o corpus.Options) corpus.Options {
	o.VocabSize, o.Window, o.Dir = m.VocabSize, m.MaxPositionEmbeddings, dir
	return o
}

// counting shows the reading of many rows.
func counting(w io.Writer, o corpus.Options) (corpus.Options, func()) {
	p := obs.NewProgress(w, "row", 0, 0)
	o.Progress = func(rows int) { p.Step(rows, "read") }
	return o, p.Done
}

func files(sources []config.Source) []corpus.File {
	fs := make([]corpus.File, len(sources))
	for i, s := range sources {
		fs[i] = corpus.File{Path: s.Path, Format: s.Format}
	}
	return fs
}

// hashFiles is one SHA-256 over the contents of files, in order.
func hashFiles(paths ...string) (string, error) {
	h := sha256.New()
	for _, p := range paths {
		if err := func() error {
			f, err := smallfile.OpenRegular(p)
			if err != nil {
				return err
			}
			defer f.Close()
			fmt.Fprintf(h, "%s\n", filepath.Base(p))
			_, err = io.Copy(h, f)
			return err
		}(); err != nil {
			return "", fmt.Errorf("hash %s: %w", p, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
