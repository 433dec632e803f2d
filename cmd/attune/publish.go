package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"attune/engine/model"
	"attune/engine/nn"
	"attune/engine/peft"
	"attune/engine/session"
	"attune/engine/train"
	"attune/internal/config"
	"attune/kernels"
)

// identity is what a resumed run must not have changed: SHA-256 of each part.
func (j *job) identity() (map[string]string, error) {
	weights, err := j.modelHash()
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
	recipe := sha256.Sum256(recipeOf(j.cfg).YAML(false))
	return map[string]string{
		"model":     weights,
		"tokenizer": j.text.tok.SHA256(),
		"template":  j.text.hash(),
		"data":      hex.EncodeToString(rows[:]),
		"eval":      hex.EncodeToString(held[:]),
		"recipe":    hex.EncodeToString(recipe[:]),
	}, nil
}

// modelHash is the SHA-256 of the model's config.json and weights. It reads all of them, once.
func (j *job) modelHash() (string, error) {
	if j.weightsHash == "" {
		h, err := hashFiles(append([]string{filepath.Join(j.cfg.Model, "config.json")}, j.model.Files()...)...)
		if err != nil {
			return "", err
		}
		j.weightsHash = h
	}
	return j.weightsHash, nil
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
// or how often something is saved depends on. What the files hold is hashed by itself.
func recipeOf(c config.Config) config.Config {
	c.Model, c.RunDir, c.Template, c.LoRA.InitFrom = "", "", "", ""
	c.LoRA.AllowTemplateChange = false
	c.Data.Train, c.Data.Eval = nil, nil
	c.Compute = config.Compute{Dtype: c.Compute.Dtype}
	c.Checkpoint = config.Checkpoint{}
	return c
}

func (j *job) provenance(plan planReport, identity map[string]string) provenance {
	p := provenance{Attune: readBuildInfo(), Model: j.cfg.Model, SHA256: identity, Device: plan.Device, Dtype: plan.Dtype, Threads: j.cfg.Compute.Threads,
		Steps: plan.Steps, Trainable: plan.Trainable}
	if j.text.tmpl != nil {
		p.Template = j.text.tmpl.Name()
	}
	for _, r := range append(plan.Train, plan.Eval...) {
		p.Rows = append(p.Rows, r)
	}
	return p
}

// publish writes what was trained: adapter/ in PEFT's layout, or model/ as a Hugging Face directory.
func (j *job) publish(dir *runDir, res train.Result, identity map[string]string) (string, error) {
	base, err := baseFingerprint(j.model)
	if err != nil {
		return "", err
	}
	facts := []peft.Fact{
		{Name: "template_sha256", Value: identity["template"]}, {Name: "tokenizer_sha256", Value: identity["tokenizer"]},
		{Name: "base_model_sha256", Value: identity["model"]}, {Name: baseFact, Value: base}, {Name: "data_sha256", Value: identity["data"]},
		{Name: "attune", Value: readBuildInfo().String()},
		{Name: "steps", Value: strconv.Itoa(res.Trained.Steps)}, {Name: "trained_tokens", Value: strconv.FormatInt(res.Trained.TrainedTokens, 10)},
	}
	if res.Trained.Eval != nil {
		facts = append(facts, peft.Fact{Name: "eval_loss", Value: strconv.FormatFloat(*res.Trained.Eval, 'f', 4, 64)})
	}
	trained, err := j.session.Trained()
	if err != nil {
		return "", err
	}
	var weights []model.Weight
	for _, t := range trained {
		weights = append(weights, model.Weight{Name: t.Name, Dtype: kernels.Float32, Shape: t.Shape, Data: t.Data})
	}
	if j.cfg.Method == "lora" {
		path, lora := dir.file(adapterDir), j.lora
		if lora.BaseModel, err = filepath.Abs(lora.BaseModel); err != nil { // PEFT would look for a relative one on the hub
			return "", fmt.Errorf("publish: %w", err)
		}
		return path, peft.Save(path, lora, weights, peft.Card{Recipe: string(j.cfg.Portable().YAML(false)), Facts: facts})
	}
	path, meta := dir.file(modelDir), map[string]string{}
	for _, f := range facts {
		meta[f.Name] = f.Value
	}
	return path, model.Save(path, j.model, weights, meta, nil)
}

// openAdapter opens a PEFT adapter directory; one that is none is a wrong use.
func openAdapter(dir string) (*peft.Adapter, error) {
	a, err := peft.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = usagef("%s is no adapter directory: %w", dir, err)
	}
	return a, err
}

// loadAdapter puts an adapter's weights into a session that was built for it.
func loadAdapter(s *session.Session, a *peft.Adapter) error {
	return s.LoadAdapter(func(p nn.Param) ([]byte, error) {
		w, err := a.Weight(p.Name)
		if err != nil {
			return nil, err
		}
		return w.As(kernels.Float32)
	})
}

// summary is the last thing train prints.
type summary struct {
	Steps         int      `json:"steps"`
	Tokens        int64    `json:"tokens"`
	TrainedTokens int64    `json:"trained_tokens"`
	Seconds       float64  `json:"seconds"`
	TokensPerSec  float64  `json:"tokens_per_second"`
	EvalBefore    *float64 `json:"eval_loss_before,omitempty"`
	EvalAfter     *float64 `json:"eval_loss,omitempty"`
	BestStep      int      `json:"best_step,omitempty"`
	EarlyStopped  bool     `json:"early_stopped,omitempty"`
	LoadedBest    bool     `json:"loaded_best,omitempty"`
	NoneBetter    bool     `json:"no_eval_better_than_before,omitempty"` // with load_best_model_at_end
	Written       string   `json:"written"`
}

// noneBetter is said where load_best_model_at_end has nothing to load.
const noneBetter = "no evaluation was better than the one before training; the last state is published"

func summaryOf(r train.Result, where string) summary {
	x := summary{Steps: r.Steps, Tokens: r.Tokens, TrainedTokens: r.TrainedTokens, Seconds: r.Seconds, EvalBefore: r.FirstEval, EvalAfter: r.LastEval,
		BestStep: r.BestStep, EarlyStopped: r.EarlyStopped, LoadedBest: r.LoadedBest, NoneBetter: r.NoneBetter, Written: where}
	if r.LoadedBest {
		x.EvalAfter = r.Trained.Eval
	}
	if r.Seconds > 0 {
		x.TokensPerSec = float64(r.Tokens) / r.Seconds
	}
	return x
}

func summarize(s streams, asJSON bool, x summary) error {
	if asJSON {
		return writeJSON(s.out, x)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d steps, %d tokens (%d trained) in %.1f s, %.0f tokens/s\n", x.Steps, x.Tokens, x.TrainedTokens, x.Seconds, x.TokensPerSec)
	if x.EvalAfter != nil {
		b.WriteString("eval loss ")
		if x.EvalBefore != nil {
			fmt.Fprintf(&b, "%.4f -> ", *x.EvalBefore)
		}
		fmt.Fprintf(&b, "%.4f\n", *x.EvalAfter)
	}
	switch {
	case x.NoneBetter:
		fmt.Fprintf(&b, "warning: %s\n", noneBetter)
	case x.LoadedBest:
		fmt.Fprintf(&b, "published the best evaluated state, that of step %d\n", x.BestStep)
	case x.EarlyStopped:
		b.WriteString("stopped early: the eval loss no longer fell\n")
	}
	fmt.Fprintf(&b, "wrote %s\n", x.Written)
	_, err := s.out.Write(b.Bytes())
	return err
}
