package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// runFile is a run file for Load and for the JSON Schema. Its model is m, its rows are rows.jsonl.
type runFile struct {
	text     string
	says     string // by Load; "" = nothing is wrong
	together bool   // wrong only beside another key or the disk, which the schema does not see
}

func runFiles() []runFile {
	data := func(section string) string { return "model: m\nrun_dir: out\ndata: " + section + "\n" }
	full := Default()
	full.Model, full.RunDir, full.Data.Train = "m", "out", []Source{{Path: "rows.jsonl", Format: "auto", Weight: 1, Repeat: 1}}
	list := []runFile{
		{text: small}, {text: string(full.YAML(true))},
		{text: data("{train: rows.jsonl}")}, {text: data("{train: {path: rows.jsonl, weight: 0.5}}")}, {text: data("{train: [rows.jsonl, {path: rows.jsonl}], eval: rows.jsonl}")},
		{text: data("{train: rows.jsonl, eval: []}")}, {text: small + "lora: {}\n"},
		{text: small + "lora: {target_modules: q_proj}\n"}, {text: small + "lora: {target_modules: [q_proj, v_proj]}\n"},
		{text: small + "compute: {micro_batch_tokens: auto}\n"}, {text: small + "compute: {micro_batch_tokens: 0}\n"},
		{text: small + "train: {steps: 2.0, epochs: 0}\n"},
		{text: small + "template_kwargs: {}\n"}, {text: small + "template_kwargs: {enable_thinking: false, documents: [{title: a, n: 1.5}], x: 2}\n"},
		{text: small + "template_kwargs: [a]\n", says: "template_kwargs is a list; it must be a section of keys"},
		{text: small + "template_kwargs: 3\n", says: "template_kwargs is 3; it must be a section of keys"},

		{text: small + "train: {lerning_rate: }\n", says: "train.lerning_rate is not a key of the run file; did you mean train.learning_rate?"},
		{text: small + "lora_config: {}\n", says: "lora_config is not a key of the run file"},
		{text: small + "train: {adams: {}}\n", says: "train.adams is not a key of the run file; did you mean train.adam?"},
		{text: small + "train: {learning_rate: }\n", says: "train.learning_rate is empty; remove it or give it a value"},
		{text: small + "lora:\n", says: "lora is empty; remove it or give it a value"},
		{text: data("{train: [{path: rows.jsonl, weight: }]}"), says: "data.train[0].weight is empty"},
		{text: data("{train: [null]}"), says: "data.train[0] is empty; it must be a path"},
		{text: data("{train: 7}"), says: "data.train[0] is 7; it must be a path"},
		{text: small + "lora: {target_modules: [null]}\n", says: "lora.target_modules[0] is empty; it must be text"},
		{text: small + "lora: {target_modules: []}\n", says: "lora.target_modules is empty; set all-linear"},
		{text: small + "Method: lora\n", says: "Method is not a key of the run file; did you mean method?"},
		{text: small + "train.epochs: 2\n", says: "did you mean train: {epochs: ...}?"},
		{text: small + "system: 12\n", says: "system is 12; it must be text"},
		{text: small + "method: qlora\n", says: "one of lora, full"},
		{text: small + "train: fast\n", says: "it must be a section of keys"},
		{text: small + "compute: {micro_batch_tokens: some}\n", says: "it must be a whole number or auto"},
		{text: small + "lora: {use_rslora: 1}\n", says: "it must be true or false"},
		{text: "run_dir: out\ndata: {train: rows.jsonl}\n", says: "model is missing"},
		{text: "model: ''\nrun_dir: out\ndata: {train: rows.jsonl}\n", says: "model is missing"},
		{text: "model: m\ndata: {train: rows.jsonl}\n", says: "run_dir is missing"},
		{text: "model: m\nrun_dir: out\n", says: "data.train is missing"},
		{text: data("{}"), says: "data.train is missing"}, {text: data("{eval: rows.jsonl}"), says: "data.train is missing"},
		{text: data("{train: []}"), says: "data.train is missing"},
		{text: data("{train: ''}"), says: "data.train[0].path is missing"}, {text: data("{train: [{weight: 1}]}"), says: "data.train[0].path is missing"},

		{text: "model: nowhere\nrun_dir: out\ndata: {train: rows.jsonl}\n", says: "nowhere is not a directory", together: true},
		{text: small + "train: {epochs: 0}\n", says: "train.epochs is 0; set it, or train.steps", together: true},
		{text: small + "method: full\nlora: {r: 8}\n", says: "lora.r is 8, but method full", together: true},
		{text: small + "eval: {load_best_model_at_end: true}\n", says: "data.eval is empty", together: true},
	}
	for _, n := range []struct {
		key       string
		good, bad string // values
		must      string
	}{
		{"system_ratio", "0 0.5 1", "-0.1 1.1", "at least 0 and at most 1"},
		{"data.max_length", "8 100000", "7 -1", "at least 8"},
		{"data.train.weight", "1e-9 10000", "0 -1 10001", "over 0 and at most 10000"},
		{"data.train.repeat", "1 10000", "0 10001", "at least 1 and at most 10000"},
		{"data.max_cut_share", "0 0.5 1", "-0.1 1.1", "at least 0 and at most 1"},
		{"lora.r", "1", "0 -4", "at least 1"},
		{"lora.alpha", "0.01", "0 -1", "over 0"},
		{"lora.dropout", "0 0.99", "1 -0.1", "at least 0 and below 1"},
		{"train.epochs", "0.1 1000000", "-1 1000001", "at least 0 and at most 1000000"},
		{"train.steps", "0 9007199254740992", "-1", "at least 0"},
		{"train.steps", "", "1.5 1e300 18014398509481984", "a whole number"},
		{"train.examples_per_step", "1", "0", "at least 1"},
		{"train.learning_rate", "1e-300", "0 -1", "over 0"},
		{"train.warmup_steps", "0", "-1", "at least 0"},
		{"train.warmup_ratio", "0 1", "-0.1 1.1", "at least 0 and at most 1"},
		{"train.weight_decay", "0", "-0.1", "at least 0"},
		{"train.max_grad_norm", "0", "-1", "at least 0"},
		{"train.adam.beta1", "0 0.9", "1 -0.1", "at least 0 and below 1"},
		{"train.adam.beta2", "0 0.9", "1 -0.1", "at least 0 and below 1"},
		{"train.adam.epsilon", "1e-12", "0", "over 0"},
		{"train.seed", "0", "-1", "at least 0"},
		{"compute.micro_batch_tokens", "64", "63 -1", "auto or at least 64"},
		{"compute.threads", "0", "-1", "at least 0"},
		{"eval.every", "0", "-1", "at least 0"},
		{"eval.early_stopping_patience", "0", "-1", "at least 0"},
		{"eval.early_stopping_threshold", "0", "-0.1", "at least 0"},
		{"checkpoint.every", "0", "-1", "at least 0"},
		{"checkpoint.keep", "1", "0", "at least 1"},
	} {
		text := func(value string) string {
			parts := strings.Split(n.key, ".")
			line := parts[len(parts)-1] + ": " + value
			if parts[0] == "data" {
				if parts[1] == "train" {
					line = "train: {path: rows.jsonl, " + line + "}"
				} else {
					line = "train: rows.jsonl, " + line
				}
				return data("{" + line + "}")
			}
			for i := len(parts) - 2; i >= 0; i-- {
				line = parts[i] + ": {" + line + "}"
			}
			return small + line + "\n"
		}
		for _, v := range strings.Fields(n.good) {
			list = append(list, runFile{text: text(v)})
		}
		for _, v := range strings.Fields(n.bad) {
			list = append(list, runFile{text: text(v), says: "it must be " + n.must})
		}
	}
	return list
}

// Load and the JSON Schema accept and refuse the same, in every format that can say it.
func TestLoadAndSchemaAgree(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("run.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("run.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range runFiles() {
		var settings map[string]any
		if err := yaml.Unmarshal([]byte(f.text), &settings); err != nil {
			t.Fatal(err)
		}
		asJSON, err := json.Marshal(settings)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		switch err := schema.Validate(instance); {
		case err != nil && (f.says == "" || f.together):
			t.Errorf("the schema refuses\n%s\n%v", f.text, err)
		case err == nil && f.says != "" && !f.together:
			t.Errorf("the schema lets pass\n%s", f.text)
		}
		texts := map[string]string{"run.yaml": f.text, "run.json": string(asJSON)}
		if !strings.Contains(string(asJSON), "null") { // which TOML does not have
			texts["run.toml"] = asTOML(t, settings)
		}
		for name, text := range texts {
			_, err := Load(runDir(t, name, text), nil)
			if f.says == "" && err != nil || f.says != "" && (err == nil || !strings.Contains(err.Error(), f.says)) {
				t.Errorf("%s\n%s\ngot %v, want %q", name, text, err, f.says)
			}
		}
	}
}

func asTOML(t *testing.T, settings map[string]any) string {
	t.Helper()
	codec, err := viper.NewCodecRegistry().Encoder("toml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := codec.Encode(settings)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every key and section is explained, and so is every line of the file that `attune init` writes.
func TestEveryKeyIsExplained(t *testing.T) {
	var walk func(section reflect.Type, prefix string)
	walk = func(section reflect.Type, prefix string) {
		for _, f := range fieldsOf(section) {
			if len(f.doc) < 4 {
				t.Errorf("%s%s has the doc %q", prefix, f.key, f.doc)
			}
			if f.typ.Kind() == reflect.Struct {
				walk(f.typ, prefix+f.key+".")
			}
		}
	}
	walk(reflect.TypeOf(Config{}), "")
	walk(reflect.TypeOf(Source{}), "data.train[].")

	c := Default()
	c.Data.Train, c.Data.Eval = []Source{defaultSource(), defaultSource()}, []Source{defaultSource()}
	for line := range strings.Lines(string(c.YAML(true))) {
		if _, doc, ok := strings.Cut(line, "  # "); !ok || len(doc) < 5 {
			t.Errorf("not explained: %s", line)
		}
	}
}
