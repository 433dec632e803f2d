package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attune/data/loader"
	"attune/data/source"
	"attune/engine/model"
	"attune/engine/optim"
	"attune/engine/peft"
	"attune/engine/session"
	"attune/internal/config"
)

// What a run file may say of shares and epochs is what the loader takes.
func TestBoundsOfTheLoader(t *testing.T) {
	dir := smallModel(t, model.NewOptions{})
	rows := writeFile(t, "rows.jsonl", sums(0, 4)...)
	for _, over := range []int{0, 1} {
		for key, sets := range map[string][]string{
			"weight":       {fmt.Sprintf("data.train=[{path: %s, weight: %d}]", rows, loader.MaxShare+over)},
			"repeat":       {fmt.Sprintf("data.train=[{path: %s, repeat: %d}]", rows, loader.MaxShare+over)},
			"train.epochs": {"data.train=" + rows, fmt.Sprintf("train.epochs=%d", loader.MaxEpochs+over)},
		} {
			_, err := config.Load("", append(sets, "model="+dir, "run_dir="+t.TempDir()))
			if over == 0 && err != nil || over == 1 && (err == nil || !strings.Contains(err.Error(), key)) {
				t.Errorf("%v: %v", sets, err)
			}
		}
	}
}

// The words that a run file may use are those of the packages that read them, which it cannot ask.
func TestWordsOfTheRunFile(t *testing.T) {
	type words struct {
		Enum []string `json:"enum"`
	}
	var schema struct {
		Properties struct {
			Train struct {
				Properties map[string]words `json:"properties"`
			} `json:"train"`
			Compute struct {
				Properties map[string]words `json:"properties"`
			} `json:"compute"`
		} `json:"properties"`
		Defs struct {
			Source struct {
				AnyOf []struct {
					Properties map[string]words `json:"properties"`
				} `json:"anyOf"`
			} `json:"source"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(config.Schema(), &schema); err != nil || len(schema.Defs.Source.AnyOf) != 2 {
		t.Fatalf("%v, %+v", err, schema)
	}
	for _, w := range []struct {
		key       string
		got, want []string
	}{
		{"train.lr_scheduler", schema.Properties.Train.Properties["lr_scheduler"].Enum, optim.Schedules()},
		{"data.train[].format", schema.Defs.Source.AnyOf[1].Properties["format"].Enum, source.Formats()},
	} {
		if !slices.Equal(w.got, w.want) {
			t.Errorf("%s may be %q, want %q", w.key, w.got, w.want)
		}
	}
	d, err := session.OpenDevice("cpu", 1)
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, d.Close)
	dtypes := schema.Properties.Compute.Properties["dtype"].Enum
	if len(dtypes) < 2 {
		t.Errorf("compute.dtype may be %q", dtypes)
	}
	for _, name := range dtypes {
		if _, err := d.Dtype(name); err != nil {
			t.Error(err)
		}
	}
	if targets, err := peft.ParseTargets(config.Default().LoRA.TargetModules); err != nil || !targets.All {
		t.Errorf("lora.target_modules is by default %+v (%v), want every linear layer", targets, err)
	}
}

// Every run file to copy is read without a complaint, says how it is run, and can be planned once model and rows are there.
func TestConfigs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "configs", "*.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d run files in configs: %v", len(files), err)
	}
	dir := smallModel(t, model.NewOptions{})
	chats, texts := writeFile(t, "rows.jsonl", sums(0, 400)...), writeFile(t, "text.jsonl", documents(400)...)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if run := "#   attune train -c configs/" + filepath.Base(path); !strings.HasPrefix(string(raw), "# ") || !strings.Contains(string(raw), run) {
				t.Errorf("the head does not say what it is for and %q", run)
			}
			rows := chats
			if strings.Contains(string(raw), "text.jsonl") {
				rows = texts
			}
			sets := []string{"model=" + dir, "data.train=" + rows, "data.eval=" + rows}
			cfg, err := config.Load(path, sets)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"plan", "-c", path, "--json"}
			for _, s := range sets {
				args = append(args, "--set", s)
			}
			o := wantCode(t, 0, nil, args...)
			var p planReport
			if err := json.Unmarshal([]byte(o.stdout), &p); err != nil {
				t.Fatal(err)
			}
			if p.Steps < 1 || p.Trainable < 1 || p.Train[0].TrainedTokens < 1 {
				t.Errorf("planned %d steps, %d trainable parameters, %d trained tokens", p.Steps, p.Trainable, p.Train[0].TrainedTokens)
			}
			if full := p.Trainable == p.Parameters; full != (cfg.Method == "full") {
				t.Errorf("method %s trains %d of %d parameters", cfg.Method, p.Trainable, p.Parameters)
			}
		})
	}
}

// documents are rows of text.
func documents(n int) []string {
	var rows []string
	for i := range n {
		rows = append(rows, fmt.Sprintf(`{"text": "Heron %d stands in the water and waits."}`, i))
	}
	return rows
}
