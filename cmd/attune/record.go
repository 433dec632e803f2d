package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"attune/data/chat"
	"attune/engine/checkpoint"
	"attune/internal/config"
	"attune/internal/disk"
	"attune/internal/smallfile"
)

// provenance is run.json: what went into a run.
type provenance struct {
	Attune    buildInfo         `json:"attune"`
	Date      time.Time         `json:"date"` // of the first start
	Model     string            `json:"model"`
	Template  string            `json:"template"`          // where it came from
	SHA256    map[string]string `json:"sha256"`            // of model, tokenizer, template, data, eval, recipe
	Changes   []change          `json:"changes,omitempty"` // of these in mid-run, in order
	Device    string            `json:"device"`
	Dtype     string            `json:"dtype"`
	Threads   int               `json:"threads"`
	Steps     int               `json:"steps"`
	RowTokens int               `json:"micro_batch_tokens,omitempty"` // where auto filled a device
	Rows      []any             `json:"rows"`
	Trainable int64             `json:"trainable_parameters"`
}

// change is what became another in mid-run, as --allow-change allows: SHA-256 of each part, and the number of all steps.
type change struct {
	AfterStep int               `json:"after_step"` // the last one taken with what it was
	Was       map[string]string `json:"was"`
	Is        map[string]string `json:"is"`
	Keys      []string          `json:"keys,omitempty"` // of the recipe: "train.seed was 1, is 2"
}

// maxRecord bounds the files of a run directory that are read whole, in bytes.
const maxRecord = 16 << 20

// provenance is that of run.json, empty where there is no run yet.
func (d *runDir) provenance() (p provenance, err error) {
	if d == nil {
		return p, nil
	}
	b, err := smallfile.Read(d.file(runJSON), maxRecord)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("read %s, which has the date of the run: %w; put back what it was, or remove it: the run then goes on with the date of today", d.file(runJSON), err)
	}
	return p, nil
}

// beginning is what a run keeps from when it was first started, as long as it goes on.
type beginning struct {
	date  time.Time
	micro int // compute.micro_batch_tokens, where auto filled a device; 0 = it begins now, or did not
}

// beginning is that of run.json, or the clock's where there is no run yet. A template may write the date into every row.
func (d *runDir) beginning(clock func() time.Time) (beginning, error) {
	p, err := d.provenance()
	if err == nil && p.Date.IsZero() {
		p.Date = clock().Truncate(time.Second)
	}
	return beginning{p.Date, p.RowTokens}, err
}

// date is that of the beginning.
func (d *runDir) date(clock func() time.Time) (time.Time, error) {
	b, err := d.beginning(clock)
	return b.date, err
}

// record is what a run directory says of its run: run.yaml, run.json and the template of its steps.
type record struct {
	dir     *runDir
	cfg     config.Config
	p       provenance
	tmpl    *chat.Template // nil = none
	due     int            // the step from which on it is true
	written bool
}

// record is that of a run that goes on from a checkpoint, nil = the beginning. Where it goes on with something else than it
// was, that is recorded once a step was taken with it.
func (j *job) record(dir *runDir, p provenance, from *checkpoint.Checkpoint, x *changes) (*record, error) {
	r := &record{dir: dir, cfg: j.cfg, p: p, tmpl: j.text.tmpl}
	if from == nil {
		return r, nil
	}
	before, err := dir.provenance()
	if err != nil {
		return nil, err
	}
	r.due = from.Step
	for _, c := range before.Changes {
		if c.AfterStep < from.Step { // no state is left of one behind the checkpoint
			r.p.Changes = append(r.p.Changes, c)
		}
	}
	if len(x.parts) > 0 {
		c := change{AfterStep: from.Step, Was: map[string]string{}, Is: map[string]string{}, Keys: x.keys}
		for _, part := range x.parts {
			c.Was[part], c.Is[part] = from.Identity[part], p.SHA256[part]
		}
		if x.was != x.is {
			c.Was["steps"], c.Is["steps"] = strconv.Itoa(x.was), strconv.Itoa(x.is)
		}
		r.p.Changes = append(r.p.Changes, c)
		r.due++
	}
	return r, nil
}

// keep writes the record when so many steps are done, if it is true by then.
func (r *record) keep(done int) error {
	if r.written || done < r.due {
		return nil
	}
	if r.tmpl != nil {
		err := disk.MakeDir(r.dir.fs, templatesDir)
		if err == nil {
			err = disk.WriteFile(r.dir.fs, templateFile(r.tmpl.SHA256()), []byte(r.tmpl.Source()))
		}
		if err != nil {
			return fmt.Errorf("keep the chat template: %w", err)
		}
	}
	c := r.cfg
	c.Absolute()
	head := "# The run file as it was understood, with every default filled in.\n"
	if err := disk.WriteFile(r.dir.fs, runYAML, append([]byte(head), c.YAML(false)...)); err != nil {
		return err
	}
	if err := r.dir.writeJSON(runJSON, r.p); err != nil {
		return err
	}
	r.written = true
	return nil
}

// templateFile is the name of run_dir's under which a template of that SHA-256 is kept.
func templateFile(hash string) string { return filepath.Join(templatesDir, hash+".jinja") }

// templateSource is the text of the template of that SHA-256 with which steps of the run were taken.
func (j *job) templateSource(dir *runDir, hash string) ([]byte, error) {
	switch {
	case hash == "":
		return nil, nil
	case hash == j.text.hash():
		return []byte(j.text.tmpl.Source()), nil
	}
	path := dir.file(templateFile(hash))
	b, err := smallfile.Read(path, maxRecord)
	if sum := sha256.Sum256(b); err == nil && hex.EncodeToString(sum[:]) != hash {
		err = fmt.Errorf("%s is not the text that its name is the SHA-256 of", path)
	}
	if err != nil {
		return nil, fmt.Errorf("publish what was trained with another chat template: %w; --resume with the template it was", err)
	}
	return b, nil
}
