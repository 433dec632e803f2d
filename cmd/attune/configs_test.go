package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/internal/config"
)

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
