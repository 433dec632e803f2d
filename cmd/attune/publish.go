package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"attune/data/chat"
	"attune/data/corpus"
	"attune/engine/model"
	"attune/engine/peft"
	"attune/engine/train"
	"attune/internal/wholedir"
	"attune/kernels"
)

// publish writes what was trained: adapter/ in PEFT's layout, or model/ as a Hugging Face directory. Its facts are those of
// the state that it is: the run may have gone on with another template since, or be about to.
func (j *job) publish(dir *runDir, res train.Result) (string, error) {
	base, err := baseFingerprint(j.model)
	if err != nil {
		return "", err
	}
	identity := res.Trained.Identity
	template, err := j.templateSource(dir, identity["template"])
	if err != nil {
		return "", err
	}
	spoken, vars := "", []peft.Fact(nil)
	if j.spoken() {
		spoken, vars = identity["template"], j.variables().facts(j.cfg.SystemRatio)
	}
	facts := []peft.Fact{
		{Name: templateFact, Value: spoken}, {Name: tokenizerFact, Value: identity["tokenizer"]}, {Name: specialsFact, Value: identity[specials]},
		{Name: "base_model_sha256", Value: identity["model"]}, {Name: baseFact, Value: base}, {Name: "data_sha256", Value: identity["data"]},
		{Name: "attune", Value: readBuildInfo().String()},
		{Name: "steps", Value: strconv.Itoa(res.Trained.Steps)}, {Name: "trained_tokens", Value: strconv.FormatInt(res.Trained.TrainedTokens, 10)},
	}
	facts = append(facts, vars...)
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
		recipe := j.cfg.Portable()
		if identity["template"] != j.text.hash() {
			recipe.Template = templateName
		}
		card := peft.Card{Recipe: string(recipe.YAML(false)), Facts: facts}
		if spoken != "" { // for who serves the adapter: the base may have another
			card.Files = map[string][]byte{templateName: template}
		}
		return path, peft.Save(dir.fs, adapterDir, lora, weights, card)
	}
	path, meta := dir.file(modelDir), map[string]string{}
	for _, f := range facts {
		meta[f.Name] = f.Value
	}
	return path, model.Save(dir.fs, modelDir, j.model, weights, meta, func(d *wholedir.Dir) error { return saveTemplate(d, template, identity["template"]) })
}

// spoken: rows are rendered with the template; not all of them are plain text.
func (j *job) spoken() bool {
	return slices.ContainsFunc(j.reports, func(r corpus.Report) bool { return r.Schema != "text" })
}

// variables are those that the rows are rendered with.
func (j *job) variables() variables { return variables{j.cfg.TemplateKwargs, j.cfg.System} }

// templateName is where a model directory has its template, if not in tokenizer_config.json.
const templateName = "chat_template.jinja"

// saveTemplate makes the template a model was trained with its own, where it was another: transformers and chat.FromModel
// take templateName before what tokenizer_config.json has.
func saveTemplate(d *wholedir.Dir, source []byte, hash string) error {
	if hash == "" {
		return nil
	}
	if own, err := chat.FromModel(d.Path()); err == nil && own.SHA256() == hash {
		return nil
	}
	if err := d.WriteFile(templateName, source); err != nil {
		return fmt.Errorf("save the chat template: %w", err)
	}
	return nil
}
