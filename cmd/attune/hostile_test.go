package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"attune/engine/model"
	"attune/internal/disk"

	"golang.org/x/sys/unix"
)

// What a command may take that is given a hostile file, of whatever size the file says it has.
const (
	hostileMemory = 256 << 20 // bytes
	hostileTime   = time.Minute
)

// victims are the files of a run that has been, all of them sound.
type victims struct{ dir string }

func (v victims) path(name string) string { return filepath.Join(v.dir, name) }

// with replaces a file by a text.
func with(name, text string) func(v victims) error {
	return func(v victims) error {
		path := v.path(name)
		return errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
	}
}

// pipe replaces a file by a pipe that nobody writes into.
func pipe(name string) func(v victims) error {
	return func(v victims) error {
		return errors.Join(os.RemoveAll(v.path(name)), unix.Mkfifo(v.path(name), 0o600))
	}
}

// endless replaces a file by a link to a device without end.
func endless(name string) func(v victims) error { return linked(name, "/dev/zero") }

func linked(name, to string) func(v victims) error {
	return func(v victims) error { return errors.Join(os.RemoveAll(v.path(name)), os.Symlink(to, v.path(name))) }
}

// grown makes a file as long as it is said to be, without taking the room.
func grown(name string, size int64) func(v victims) error {
	return func(v victims) error { return os.Truncate(v.path(name), size) }
}

// replaced changes a text in a file.
func replaced(name, old, by string) func(v victims) error {
	return func(v victims) error {
		b, err := os.ReadFile(v.path(name))
		if err == nil && !bytes.Contains(b, []byte(old)) {
			err = fmt.Errorf("%s: no %q", name, old)
		}
		return errors.Join(err, os.WriteFile(v.path(name), bytes.Replace(b, []byte(old), []byte(by), 1), 0o644))
	}
}

// all is several changes at once.
func all(spoil ...func(v victims) error) func(v victims) error {
	return func(v victims) error {
		var err error
		for _, s := range spoil {
			err = errors.Join(err, s(v))
		}
		return err
	}
}

// header is a safetensors file of that header and so many bytes of tensors.
func header(text string, data int) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))) + text + strings.Repeat("\x00", data)
}

// numbered is about size bytes of numbered pieces with commas between.
func numbered(format string, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// laughs is YAML in which each line stands for ten times the one before.
func laughs() string {
	var b strings.Builder
	b.WriteString("a0: &a0 x\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

// hostileFile is a way in which a file is broken or made to harm, with the command that meets it.
type hostileFile struct {
	name  string
	spoil func(v victims) error
	args  string // $ is the victims' directory
	code  int
	says  string
	list  bool // the complaint lists what does not fit
}

// hostileFiles are all of them. They are made when they are asked for, not in every process of a test.
func hostileFiles() []hostileFile {
	return []hostileFile{
		{"config: pipe", pipe("model/config.json"), planning, exitFailed, "config.json is a pipe", false},
		{"config: device", endless("model/config.json"), planning, exitFailed, "config.json is a device", false},
		{"config: depth", with("model/config.json", `{"model_type":"llama","x":`+strings.Repeat("[", 1<<20)), planning, exitFailed, "config.json", false},
		{"config: list", replaced("model/config.json", `"hidden_size": 32`, `"hidden_size": 32, "layer_types": [`+strings.Repeat(`"",`, 1<<20)+`""]`), planning, exitFailed, "layer_types", true},
		{"config: sizes", replaced("model/config.json", `"hidden_size": 32`, `"hidden_size": 16777216`), planning, exitFailed, "do not fit", true},
		{"config: layers", replaced("model/config.json", `"num_hidden_layers": 2`, `"num_hidden_layers": 1024`), planning, exitFailed, "do not fit", true},
		{"config: vocabulary", replaced("model/config.json", `"vocab_size": 259`, `"vocab_size": 16777216`), planning, exitFailed, "do not fit", true},
		{"config: link to itself", linked("model/config.json", "config.json"), planning, exitFailed, "config.json", false},

		{"tokenizer: pipe", pipe("model/tokenizer.json"), planning, exitFailed, "tokenizer.json is a pipe", false},
		{"tokenizer: device", endless("model/tokenizer.json"), planning, exitFailed, "tokenizer.json is a device", false},
		{"tokenizer: a terabyte", grown("model/tokenizer.json", 1<<40), planning, exitFailed, "bytes", false},
		{"tokenizer: depth", with("model/tokenizer.json", `{"model":`+strings.Repeat(`{"model":`, 1<<20)), planning, exitFailed, "depth", false},
		{"tokenizer: vocabulary", with("model/tokenizer.json", `{"model":{"type":"BPE","merges":[],"vocab":{`+numbered(`"%d":0`, 30<<20)+`}}}`), planning, exitFailed, "vocab", false},
		{"tokenizer: merge of itself", with("model/tokenizer.json", `{"model":{"type":"BPE","vocab":{"":0,"a":1},"merges":[" a","a "," "]}}`), planning, exitData, "rows.jsonl:1", false},
		{"tokenizer: sequences", with("model/tokenizer.json", `{"normalizer":`+strings.Repeat(`{"type":"Sequence","normalizers":[`, 100)+strings.Repeat("]}", 100)+`,"model":{"type":"BPE","vocab":{},"merges":[]}}`), planning, exitFailed, "nested", false},
		{"tokenizer: around", with("model/tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"post_processor":{"type":"TemplateProcessing","special_tokens":{"x":{"ids":[`+
			strings.TrimSuffix(strings.Repeat("0,", 400_000), ",")+`]}},"single":[{"Sequence":{"id":"A"}}`+strings.Repeat(`,{"SpecialToken":{"id":"x"}}`, 20_000)+`]}}`), planning, exitFailed, "post_processor", false},
		{"tokenizer_config: keys", with("model/tokenizer_config.json", "{"+numbered(`"%d":0`, 17<<20)+"}"), planning, exitFailed, "at most", false},
		{"tokenizer_config: pipe", pipe("model/tokenizer_config.json"), planning, exitFailed, "is a pipe", false},
		{"generation_config: pipe", pipe("model/generation_config.json"), planning, exitFailed, "generation_config.json is a pipe", false},
		{"generation_config: depth", with("model/generation_config.json", `{"eos_token_id":`+strings.Repeat("[", 1<<20)), planning, exitFailed, "generation_config.json", false},
		{"license: device", endless("model/LICENSE"), planning, exitFailed, "LICENSE is a device", false},

		{"template: endless", with("model/chat_template.jinja", "{% for a in range(100000) %}{% for b in range(100000) %}{{ '' }}{% endfor %}{% endfor %}{{ messages }}"), planning, exitData, "takes too many steps", false},
		{"template: growing", with("model/chat_template.jinja", "{% set n = namespace(s='ab') %}{% for a in range(100) %}{% set n.s = n.s + n.s %}{% endfor %}{{ messages }}{{ n.s }}"), planning, exitData, "makes too much text", false},
		{"template: itself", with("model/chat_template.jinja", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}{{ messages }}"), planning, exitData, "recurses too deeply", false},
		{"template: depth", with("model/chat_template.jinja", "{{ "+strings.Repeat("(", 1<<19)), planning, exitData, "chat_template.jinja", false},
		{"template: size", with("model/chat_template.jinja", strings.Repeat("x", 2<<20)), planning, exitData, "1 MiB", false},
		{"template: pipe", pipe("model/chat_template.jinja"), planning, exitData, "chat_template.jinja is a pipe", false},

		{"weights: pipe", pipe("model/model.safetensors"), planning, exitFailed, "model.safetensors is a pipe", false},
		{"weights: device", endless("model/model.safetensors"), planning, exitFailed, "model.safetensors is a device", false},
		{"weights: empty", with("model/model.safetensors", ""), planning, exitFailed, "too short", false},
		{"weights: length", with("model/model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}"), planning, exitFailed, "header of", false},
		{"weights: a terabyte", grown("model/model.safetensors", 1<<40), planning, exitFailed, "unused bytes", false},
		{"weights: header", all(with("model/model.safetensors", "\x00\x00\x40\x06\x00\x00\x00\x00{"), grown("model/model.safetensors", 1<<30)), planning, exitFailed, "header", false},
		{"weights: tensors", with("model/model.safetensors", header("{"+numbered(`"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, 30<<20)+"}", 0)), planning, exitFailed, "tensors", false},
		{"weights: dimensions", with("model/model.safetensors", header(`{"a":{"dtype":"U8","shape":[1`+strings.Repeat(",1", 20<<20)+`],"data_offsets":[0,1]}}`, 1)), planning, exitFailed, "dimensions", false},
		{"weights: name", with("model/model.safetensors", header(`{"`+strings.Repeat("a", 20<<20)+`":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1)), planning, exitFailed, "name", false},
		{"weights: overlap", with("model/model.safetensors", header(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3)), planning, exitFailed, "overlaps", false},
		{"weights: dtype", with("model/model.safetensors", header(`{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}}`, 1)), planning, exitFailed, "dtype", false},
		{"weights: shape", with("model/model.safetensors", header(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0)), planning, exitFailed, "impossible", false},
		{"weights: terminal", replaced("model/model.safetensors", `"model.norm.weight"`, `"\u001b[2J\u0007aa"`), planning, exitFailed, "do not fit", true},
		{"adapter: terminal", replaced("run/adapter/adapter_model.safetensors", `"base_model.model.`, `"\u001b[2J\u009baa`), generating, exitFailed, "does not fit", true},
		{"config: terminal", replaced("model/config.json", `"hidden_act": "silu"`, `"hidden_act": "\u001b[2J\u0085"`), planning, exitFailed, "hidden_act", false},
		{"index: outside", all(without("model/model.safetensors"), with("model/model.safetensors.index.json", `{"weight_map":{"a":"../../secret.safetensors"}}`)), planning, exitFailed, "outside", false},
		{"index: pipe", all(without("model/model.safetensors"), pipe("model/model.safetensors.index.json")), planning, exitFailed, "is a pipe", false},
		{"index: names", all(without("model/model.safetensors"), with("model/model.safetensors.index.json", `{"weight_map":{`+numbered(`"%d":"a"`, 20<<20)+`}}`)), planning, exitFailed, "tensors", false},
		{"index: depth", all(without("model/model.safetensors"), with("model/model.safetensors.index.json", `{"weight_map":`+strings.Repeat("[", 10<<20))), planning, exitFailed, "weight_map", false},

		{"adapter config: pipe", pipe("run/adapter/adapter_config.json"), generating, exitFailed, "is a pipe", false},
		{"adapter config: depth", with("run/adapter/adapter_config.json", strings.Repeat("[", 1<<20)), generating, exitFailed, "adapter_config.json", false},
		{"adapter: rank", replaced("run/adapter/adapter_config.json", `"r": 4`, `"r": 1048576`), generating, exitFailed, "does not fit", true},
		{"adapter: expression", replaced("run/adapter/adapter_config.json", `"target_modules": [`, `"target_modules": "((\\w+)+\\.?)+!", "revision": [`), generating, exitFailed, "takes more than", false},
		{"adapter: names", replaced("run/adapter/adapter_config.json", `"target_modules": [`, `"target_modules": [`+numbered(`"%d"`, 1<<20)+`,`), generating, exitFailed, "names", false},
		{"adapter: other weights", with("run/adapter/adapter_model.safetensors", header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4)), generating, exitFailed, "does not fit", true},
		{"adapter: weights in a pipe", pipe("run/adapter/adapter_model.safetensors"), generating, exitFailed, "is a pipe", false},

		{"run file: pipe", pipe("run.yaml"), "config show -c $/run.yaml", exitUsage, "is a pipe", false},
		{"run file: device", endless("run.yaml"), "config show -c $/run.yaml", exitUsage, "is a device", false},
		{"run file: a terabyte", grown("run.yaml", 1<<40), "config show -c $/run.yaml", exitUsage, "bytes", false},
		{"run file: laughs", with("run.yaml", laughs()), "config show -c $/run.yaml", exitUsage, "aliasing", false},
		{"run file: keys", with("run.yaml", "template_kwargs: {"+numbered("k%d: 1", 900_000)+"}\n"), "config show -c $/run.yaml", exitUsage, "keys", false},
		{"run file: depth", with("run.yaml", strings.Repeat("[", 1<<19)), "config show -c $/run.yaml", exitUsage, "depth", false},
		{"run file: brackets", with("run.toml", "a = "+strings.Repeat("[", 1<<19)), "config show -c $/run.toml", exitUsage, "brackets", false},
		{"run file: dots", with("run.toml", "model = \"m\"\nrun_dir = \"r\"\ndata.train = [{path = \"rows.jsonl\"}]\n[template_kwargs.a"+strings.Repeat(".a", 1<<18)+"]\n"), "config show -c $/run.toml", exitUsage, "dots", false},
		{"run file: JSON", with("run.json", strings.Repeat(`{"a":`, 1<<17)), "config show -c $/run.json", exitUsage, "depth", false},

		{"state: device", endless("run/checkpoints/step-000004/state.json"), resuming, exitFailed, "leads out of the directory", false},
		{"state: pipe", pipe("run/checkpoints/step-000004/state.json"), resuming, exitFailed, "state.json is a pipe", false},
		{"state: depth", with("run/checkpoints/step-000004/state.json", strings.Repeat("[", 1<<20)), resuming, exitFailed, "state.json", false},
		{"state: weights in a pipe", pipe("run/checkpoints/step-000004/weights.safetensors"), resuming, exitFailed, "is a pipe", false},
		{"run.json: pipe", pipe("run/run.json"), resuming, exitUsage, "run.json is a pipe", false},
		{"run.json: depth", with("run/run.json", strings.Repeat("[", 1<<20)), resuming, exitFailed, "run.json", false},

		{"rows: device", endless("rows.jsonl"), planning, exitData, "64 MiB", false},
		{"rows: depth", with("rows.jsonl", `{"instruction":`+strings.Repeat("[", 1<<20)+"\n"), planning, exitData, "rows.jsonl:1", false},
	}
}

// The commands of hostileFiles.
const (
	onRun      = " --set model=$/model --set data.train=$/rows.jsonl --set train.steps=4 --set lora.r=4 --set train.examples_per_step=1 --set checkpoint.every=2 --set checkpoint.keep=1 --set compute.micro_batch_tokens=64 --set compute.dtype=float32 --set run_dir=$/run"
	planning   = "plan --time=false" + onRun
	resuming   = "train --resume" + onRun
	generating = "generate --model $/model --adapter $/run/adapter --max-new-tokens 2 --prompt hello"
)

// without removes a file.
func without(name string) func(v victims) error {
	return func(v victims) error { return os.Remove(v.path(name)) }
}

// Whatever a file holds, it is refused in one sentence, with bounded memory and time.
func TestHostileFiles(t *testing.T) {
	whole := victims{t.TempDir()}
	if err := model.New(disk.OS(), whole.path("model"), model.NewOptions{HiddenSize: 32, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(with("rows.jsonl", strings.Join(sums(0, 4), "\n")+"\n")(whole), with("run.yaml", "model: model\n")(whole)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, exitOK, nil, whole.args("train"+onRun)...)
	for _, c := range hostileFiles() {
		t.Run(c.name, func(t *testing.T) {
			v := victims{t.TempDir()}
			if err := os.CopyFS(v.dir, os.DirFS(whole.dir)); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(v); err != nil {
				t.Fatal(err)
			}
			o, peak := inChild(t, v.args(c.args)...)
			_, said, _ := strings.Cut("\n"+strings.TrimSuffix(o.stderr, "\n"), "\nattune: ") // behind what is logged
			if o.code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("exit code %d, want %d; it should name %q:\n%.2000s", o.code, c.code, c.says, said)
			}
			if lines := 1 + strings.Count(said, "\n"); lines > 1 && !c.list || lines > 25 || len(said) == 0 || len(said) > 4<<10 {
				t.Errorf("not one sentence, but %d bytes in %d lines:\n%.2000s", len(said), lines, o.stderr)
			}
			if i := strings.IndexFunc(said, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 {
				t.Errorf("%q goes to the terminal", said[i:min(i+20, len(said))])
			}
			if peak > hostileMemory {
				t.Errorf("%d MiB of memory", peak>>20)
			}
		})
	}
}

// args are the words of a command line on these files.
func (v victims) args(line string) []string {
	return strings.Fields(strings.ReplaceAll(line, "$", v.dir))
}

// inChild runs a command line in a process of its own and gives the most memory that it had, 0 where the system does not
// count that.
func inChild(t *testing.T, args ...string) (outcome, int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hostileTime)
	defer cancel()
	path := filepath.Join(t.TempDir(), "status")
	cmd := program(ctx, args...)
	cmd.Env = append(cmd.Env, peakFile+"="+path)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("it goes on after %v\n%.2000s", hostileTime, errs.String())
	}
	status, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("it did not end by itself: %v\n%.2000s", err, errs.String())
	}
	var peak int64
	if m := highWater.FindSubmatch(status); m != nil {
		if peak, err = strconv.ParseInt(string(m[1]), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}, peak << 10
}
