package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"attune/engine/model"
	"attune/internal/config"
)

// identity is what a resumed run must not have changed: SHA-256 of each part.
func (j *job) identity() (map[string]string, error) {
	weights, err := hashFiles(append([]string{filepath.Join(j.cfg.Model, "config.json")}, j.model.Files()...)...)
	if err != nil {
		return nil, err
	}
	rows, err := j.data.Fingerprint()
	if err != nil {
		return nil, err
	}
	held, err := j.eval.Fingerprint()
	if err != nil {
		return nil, err
	}
	recipe := sha256.Sum256(recipeOf(j.understood()).YAML(false))
	return map[string]string{
		"model":     weights,
		"tokenizer": j.text.tok.SHA256(),
		"template":  j.text.hash(),
		specials:    j.text.specials(),
		"data":      hex.EncodeToString(rows[:]),
		"eval":      hex.EncodeToString(held[:]),
		"recipe":    hex.EncodeToString(recipe[:]),
	}, nil
}

// specials is the part of an identity that the roles of special tokens are.
const specials = "special_tokens"

// specials is a SHA-256 over the tokens that begin, end and pad: a template writes them, but tokenizer_config.json names them.
func (t *text) specials() string {
	bos, _, _ := t.tok.BOS()
	eos, _, _ := t.tok.EOS()
	pad, _, _ := t.tok.PAD()
	sum := sha256.Sum256(fmt.Appendf(nil, "bos %q eos %q pad %q\n", bos, eos, pad))
	return hex.EncodeToString(sum[:])
}

// baseFact is the name of a base model's fingerprint in what is published.
const baseFact = "base_model_fingerprint"

// baseSample is how many bytes of each tensor the fingerprint of a base model looks at.
const baseSample = 4096

// baseFingerprint tells one base model from another without reading it whole: a SHA-256 over name, dtype, shape and the
// first bytes of every weight. Training moves all of them.
func baseFingerprint(m *model.Checkpoint) (string, error) {
	weights, err := m.Weights()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, w := range weights {
		fmt.Fprintf(h, "%s %s %v\n", w.Name, w.Dtype, w.Shape)
		h.Write(w.Data[:min(len(w.Data), baseSample)])
		m.Release(w.Name) // the system maps more around what is touched
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// recipeOf is the run file without what may change between the parts of a run: where things lie, and what only rounding
// or how often something is saved or said depends on. What the files hold is hashed by itself. Where numbers that go wrong
// send a run back to a checkpoint, it matters how often there is one.
func recipeOf(c config.Config) config.Config {
	c.Model, c.RunDir, c.Template, c.LoRA.InitFrom = "", "", "", ""
	c.LoRA.AllowTemplateChange = false
	c.Data.Train, c.Data.Eval, c.Data.MaxCutShare = nil, nil, 0
	c.Compute = config.Compute{Dtype: c.Compute.Dtype}
	c.Guard.Name = false
	every := 0
	if c.Guard.NonFinite == "rollback" || c.Guard.Spike == "rollback" {
		every = c.Checkpoint.Every
	}
	c.Checkpoint = config.Checkpoint{Every: every}
	return c
}

func (j *job) provenance(plan planReport, identity map[string]string) provenance {
	p := provenance{Attune: readBuildInfo(), Date: j.date, Model: j.cfg.Model, SHA256: identity, Device: plan.Device, Dtype: plan.Dtype, Threads: j.cfg.Compute.Threads,
		Steps: plan.Steps, Trainable: plan.Trainable}
	if j.fills() {
		p.RowTokens = j.micro
	}
	if j.text.tmpl != nil {
		p.Template = j.text.tmpl.Name()
	}
	for _, r := range append(plan.Train, plan.Eval...) {
		p.Rows = append(p.Rows, r)
	}
	return p
}
