package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"attune/data/chat"
	"attune/engine/model"
	"attune/engine/peft"
	"attune/engine/train"
	"attune/kernels"
)

// publish writes what was trained: adapter/ in PEFT's layout, or model/ as a Hugging Face directory.
func (j *job) publish(dir *runDir, res train.Result, identity map[string]string) (string, error) {
	base, err := baseFingerprint(j.model)
	if err != nil {
		return "", err
	}
	facts := []peft.Fact{
		{Name: templateFact, Value: j.spoken()}, {Name: tokenizerFact, Value: identity["tokenizer"]}, {Name: specialsFact, Value: identity[specials]},
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
		card := peft.Card{Recipe: string(j.cfg.Portable().YAML(false)), Facts: facts}
		if j.spoken() != "" { // for who serves the adapter: the base may have another
			card.Files = map[string][]byte{templateName: []byte(j.text.tmpl.Source())}
		}
		return path, peft.Save(path, lora, weights, card)
	}
	path, meta := dir.file(modelDir), map[string]string{}
	for _, f := range facts {
		meta[f.Name] = f.Value
	}
	return path, model.Save(path, j.model, weights, meta, j.saveTemplate)
}

// spoken is the hash of the template that the rows were rendered with, "" where all of them are plain text.
func (j *job) spoken() string {
	for _, r := range j.reports {
		if r.Schema != "text" {
			return j.text.hash()
		}
	}
	return ""
}

// templateName is where a model directory has its template, if not in tokenizer_config.json.
const templateName = "chat_template.jinja"

// saveTemplate makes the template a model was trained with its own, where it was another: transformers and chat.FromModel
// take templateName before what tokenizer_config.json has.
func (j *job) saveTemplate(dir string) error {
	if j.text.tmpl == nil {
		return nil
	}
	if own, err := chat.FromModel(dir); err == nil && own.SHA256() == j.text.hash() {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, templateName), []byte(j.text.tmpl.Source()), 0o644); err != nil {
		return fmt.Errorf("save the chat template: %w", err)
	}
	return nil
}
