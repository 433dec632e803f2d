package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// words are texts that YAML takes for something else unless they are quoted.
var words = []string{"", "yes", "No", "null", "~", "0x10", "0o17", "0b1", "1_000", "1e3", ".5", ".inf", "-.Inf", ".NaN", "2024-11-21",
	"2024-11-21T10:00:00Z", "12:30:45", "-", "--", "---", "...", "=", "<<", "*a", "&a", "!x", "#x", "a: b", "a #b", "[a]", "{a}", "a,b", "'", `"`, `\`, " a ",
	"a\nb", "\t", "ü\u2028ß", "a/b.jsonl", "C:\\x", "%x", "@x", "`x`", "|", ">"}

func text() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(words), rapid.StringN(0, 12, -1), rapid.StringMatching(`[-+._0-9a-fxoTZ:]{1,12}`))
}

// kwarg is a value that a template may be given.
func kwarg(depth int) *rapid.Generator[any] {
	one := []*rapid.Generator[any]{rapid.Just[any](nil), rapid.Bool().AsAny(), text().AsAny(), rapid.Int64Range(-maxInt, maxInt).AsAny(), rapid.Float64Range(-1e300, 1e300).AsAny()}
	if depth > 0 {
		one = append(one, rapid.SliceOfN(kwarg(depth-1), 0, 3).AsAny(), rapid.MapOfN(text(), kwarg(depth-1), 0, 3).AsAny())
	}
	return rapid.OneOf(one...)
}

func drawConfig(t *rapid.T) Config {
	c := Default()
	c.Model, c.System, c.RunDir = text().Draw(t, "model"), text().Draw(t, "system"), text().Draw(t, "run_dir")
	c.Template, c.LoRA.InitFrom = text().Draw(t, "template"), text().Draw(t, "init_from")
	c.LoRA.TargetModules = rapid.SliceOfN(text(), 1, 3).Draw(t, "targets")
	for range rapid.IntRange(1, 3).Draw(t, "sources") {
		c.Data.Train = append(c.Data.Train, Source{Path: text().Draw(t, "path"), Format: "text",
			Weight: rapid.Float64Range(1e-9, 1e9).Draw(t, "weight"), Repeat: rapid.IntRange(1, 1<<40).Draw(t, "repeat")})
	}
	c.Train.LearningRate, c.Train.Adam.Epsilon = rapid.Float64Range(1e-300, 1e300).Draw(t, "rate"), rapid.Float64Range(1e-300, 1e-3).Draw(t, "epsilon")
	c.Train.Steps, c.Compute.MicroBatchTokens = rapid.IntRange(0, 1<<40).Draw(t, "steps"), rapid.IntRange(0, 1<<20).Draw(t, "micro")
	if kwargs := rapid.MapOfN(text(), kwarg(2), 0, 3).Draw(t, "kwargs"); len(kwargs) > 0 {
		c.TemplateKwargs = kwargs
	}
	c.Eval.LoadBestModelAtEnd, c.Data.Shuffle = rapid.Bool().Draw(t, "best"), rapid.Bool().Draw(t, "shuffle")
	return c
}

// A run file that is written means what was written, whatever its texts look like to YAML.
func TestWrittenRunFilesMeanWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawConfig(t)
		file := want.YAML(rapid.Bool().Draw(t, "comments"))
		settings, err := parse("run.yaml", file)
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		got, p := Default(), &problems{file: "run.yaml"}
		p.decode(settings, reflect.ValueOf(&got).Elem(), "")
		if len(p.list) > 0 || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q\n%s\n%+v, want\n%+v", p.list, file, got, want)
		}
	})
}

// Map has the same keys and values as the file.
func TestMapIsTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		c.LoRA.TargetModules = []string{"a", "b"} // one alone is written without a list
		written, err := json.Marshal(c.Map())
		if err != nil {
			t.Fatal(err)
		}
		var fromFile any
		if err := yaml.Unmarshal(c.YAML(false), &fromFile); err != nil {
			t.Fatal(err)
		}
		file, err := json.Marshal(fromFile)
		if err != nil {
			t.Fatal(err)
		}
		if string(written) != string(file) {
			t.Fatalf("map  %s\nfile %s", written, file)
		}
	})
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Mkdir(filepath.Join(dir, "sub.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ path, says string }{
		{filepath.Join(dir, "gone.yaml"), "there is no such file; `attune init` writes one"},
		{filepath.Join(dir, "sub.yaml"), "is a directory"},
		{write("run.txt", small), "ends in .yaml, .yml, .toml or .json"},
		{write("long.yaml", strings.Repeat("#", maxFile+1)), "at most 1048576 are expected"},
		{write("broken.yaml", "model: [m\n"), "broken.yaml: "},
		{write("broken.toml", "model = \n"), "broken.toml: "},
		{write("broken.json", `{"model": "m",}`), "broken.json: "},
		{write("list.yaml", "- model\n"), "list.yaml: "},
		{write("twice.yaml", "model: a\nmodel: b\n"), "twice.yaml: "},
		{write("twice.toml", "model = \"a\"\nmodel = \"b\"\n"), "twice.toml: "},
		{write("twice.json", "{\"model\": \"a\",\n\t\"train\": {\"seed\": 1,\n\t\"seed\": 2}}"), "twice.json:3: train.seed stands twice; keep one"},
		{write("two.yaml", "---\n"+small+"---\ntrain: {seed: 3}\n"), "holds more than one document"},
	}
	for _, tt := range tests {
		_, err := Load(tt.path, nil)
		if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: got %v, want %q", filepath.Base(tt.path), err, tt.says)
		}
	}
}

// Complaints say what stands there and what must.
func TestIllTypedValues(t *testing.T) {
	path := runDir(t, "run.yaml", small+"template: [a]\nsystem: 12\nlora: {target_modules: 3, r: \"many\", use_rslora: 1}\ntrain: fast\neval: {every: 1.5}\n"+
		"compute: {micro_batch_tokens: some, dtype: int8}\nsystem_ratio: .nan\n")
	_, err := Load(path, []string{"data.eval=3", "lora.target_modules=[1]", "=x", "steps"})
	for _, want := range []string{
		path + ":4: template is a list; it must be text",
		path + ":5: system is 12; it must be text",
		path + ":6: lora.target_modules is 3; it must be text or a list of texts",
		path + `:6: lora.r is the text "many"; it must be a whole number`,
		path + ":6: lora.use_rslora is 1; it must be true or false",
		path + `:7: train is the text "fast"; it must be a section of keys`,
		path + ":8: eval.every is 1.5; it must be a whole number",
		path + `:9: compute.micro_batch_tokens is the text "some"; it must be a whole number or auto`,
		path + `:9: compute.dtype is "int8"; it must be one of auto, float32, bfloat16`,
		path + ":10: system_ratio is NaN; it must be a number",
		"--set data.eval[0] is 3; it must be a path",
		"--set lora.target_modules[0] is 1; it must be text",
		`--set "=x": write key=value`,
		`--set "steps": write key=value`,
	} {
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("%q is not once in\n%v", want, err)
		}
	}
}

func TestAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	c := Default()
	c.Model, c.RunDir, c.Template, c.LoRA.InitFrom = "m", "/elsewhere/run", "chatml", "adapter"
	c.Data.Train, c.Data.Eval = []Source{{Path: "../a.jsonl"}}, []Source{{Path: "b.jsonl"}}
	c.Absolute()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(here, "m"), "/elsewhere/run", "chatml", filepath.Join(here, "adapter"), filepath.Join(filepath.Dir(here), "a.jsonl"), filepath.Join(here, "b.jsonl")}
	if got := []string{c.Model, c.RunDir, c.Template, c.LoRA.InitFrom, c.Data.Train[0].Path, c.Data.Eval[0].Path}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A copy made absolute or portable leaves the run it was copied from alone.
func TestCopiesShareNoPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	c := Default()
	c.Model, c.RunDir, c.Template, c.LoRA.InitFrom = "models/m", "runs/r", "own/chat.jinja", "../adapter"
	c.Data.Train, c.Data.Eval = []Source{{Path: "rows/a.jsonl"}}, []Source{{Path: "/elsewhere/b.jsonl"}}
	before := string(c.YAML(false))
	abs := c
	abs.Absolute()
	p := c.Portable()
	if after := string(c.YAML(false)); after != before {
		t.Errorf("the original became\n%s", after)
	}
	if !filepath.IsAbs(abs.Data.Train[0].Path) {
		t.Errorf("not absolute: %+v", abs.Data)
	}
	want := []string{"m", "r", "chat.jinja", "adapter", "a.jsonl", "b.jsonl"}
	if got := []string{p.Model, p.RunDir, p.Template, p.LoRA.InitFrom, p.Data.Train[0].Path, p.Data.Eval[0].Path}; !reflect.DeepEqual(got, want) {
		t.Errorf("portable: %q, want %q", got, want)
	}
}
