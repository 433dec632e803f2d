// Verdict ends `make demo`: it reads what `attune eval --answers --json` judged of base and tuned model, shows some answers
// side by side and fails if the tuned model is right in fewer than 90 % or the base in more than 5 %.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Shares of exact answers that the demo promises.
const (
	tunedAtLeast = 0.90
	baseAtMost   = 0.05
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: verdict DIR")
		os.Exit(2)
	}
	v, err := read(os.Args[1])
	if err == nil {
		v.print(os.Stdout, os.Args[1])
		err = v.check()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// report is one model of eval's JSON.
type report struct {
	Loss    float64
	Exact   *float64 `json:"exact_match"`
	Answers []struct{ Prompt, Expected, Got string }
}

// verdict is everything the demo has measured.
type verdict struct {
	base, tuned report
	train, tune time.Duration // seconds of all steps
	since       time.Duration // since the rows were written
}

func read(dir string) (v verdict, err error) {
	path := func(name ...string) string { return filepath.Join(append([]string{dir}, name...)...) }
	if v.base, v.tuned, err = reports(path("eval.json")); err != nil {
		return v, err
	}
	if v.train, err = seconds(path("pretrain", "metrics.jsonl")); err != nil {
		return v, err
	}
	if v.tune, err = seconds(path("tune", "metrics.jsonl")); err != nil {
		return v, err
	}
	st, err := os.Stat(path("data", "held-out.jsonl"))
	if err != nil {
		return v, err
	}
	v.since = time.Since(st.ModTime())
	return v, nil
}

// reports reads eval's JSON: base, then tuned.
func reports(path string) (base, tuned report, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return base, tuned, err
	}
	var rs []report
	if err := json.Unmarshal(raw, &rs); err != nil {
		return base, tuned, fmt.Errorf("%s: %w", path, err)
	}
	if len(rs) != 2 {
		return base, tuned, fmt.Errorf("%s: %d reports, want those of base and tuned model", path, len(rs))
	}
	base, tuned = rs[0], rs[1]
	if base.Exact == nil || tuned.Exact == nil || len(base.Answers) == 0 || len(base.Answers) != len(tuned.Answers) {
		return base, tuned, fmt.Errorf("%s: %d answers of the base and %d of the tuned model; start over with make demo", path, len(base.Answers), len(tuned.Answers))
	}
	return base, tuned, nil
}

// seconds is the time of all steps in a metrics.jsonl.
func seconds(path string) (time.Duration, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sum := 0.0
	for d := json.NewDecoder(bufio.NewReader(f)); ; {
		var step struct{ Seconds float64 }
		if err := d.Decode(&step); errors.Is(err, io.EOF) {
			return time.Duration(sum * float64(time.Second)).Round(time.Second), nil
		} else if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		sum += step.Seconds
	}
}

// check is the error of a demo that does not show what it should.
func (v *verdict) check() error {
	if *v.tuned.Exact < tunedAtLeast {
		return fmt.Errorf("the tuned model answered %.1f %% of %d held-out rows right, fewer than %.0f %%", 100**v.tuned.Exact, len(v.tuned.Answers), 100*tunedAtLeast)
	}
	if *v.base.Exact > baseAtMost {
		return fmt.Errorf("the base answered %.1f %% of %d held-out rows right, more than %.0f %%: the rows show nothing", 100**v.base.Exact, len(v.base.Answers), 100*baseAtMost)
	}
	return nil
}

// samples is how many answers are shown.
const samples = 6

func (v *verdict) print(w io.Writer, dir string) {
	fmt.Fprintln(w, "\nHeld-out rows, answered greedily:")
	for i, a := range v.base.Answers[:min(samples, len(v.base.Answers))] {
		fmt.Fprintf(w, "\n  row      %s\n  expected %s\n  base     %s\n  tuned    %s\n", line(a.Prompt), line(a.Expected), line(a.Got), line(v.tuned.Answers[i].Got))
	}
	fmt.Fprintf(w, "\n  %-28s %8s %8s\n", fmt.Sprintf("%d held-out rows", len(v.base.Answers)), "base", "tuned")
	fmt.Fprintf(w, "  %-28s %6.1f %% %6.1f %%\n", "exactly right", 100**v.base.Exact, 100**v.tuned.Exact)
	fmt.Fprintf(w, "  %-28s %8.3f %8.3f\n", "loss", v.base.Loss, v.tuned.Loss)
	fmt.Fprintf(w, "\n  pre-training %v, tuning %v, everything since the rows were written %v\n\n", v.train, v.tune, v.since.Round(time.Second))
	for _, f := range [][2]string{
		{"pretrain/model", "the base model, a Hugging Face directory"}, {"tune/adapter", "the LoRA adapter, as PEFT writes it"},
		{"pretrain/loss.png", "the loss of the pre-training"}, {"tune/loss.png", "the loss of the tuning, and on the held-out rows"},
		{"data", "text, rows and held-out rows"}, {"eval.json", "losses and every answer, of base and tuned model"},
	} {
		fmt.Fprintf(w, "  %-28s %s\n", filepath.Join(dir, filepath.FromSlash(f[0])), f[1])
	}
}

// line shows a text in a line of its own.
func line(t string) string { return strings.ReplaceAll(strings.TrimSpace(t), "\n", " / ") }
