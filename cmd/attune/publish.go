package main

import (
	"fmt"
	"path/filepath"
	"strconv"

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
