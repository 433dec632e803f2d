// Verdict ends `make demo`: it compares what `attune generate` answered to the held-out rows, with and without the adapter,
// shows some answers side by side and fails if the tuned model is right in fewer than 90 % or the base in more than 5 %.
package main

import (
	"bufio"
	"encoding/json"
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

// answer is a held-out row and what the two models said to it.
type answer struct {
	prompt, expected, base, tuned string
}

// verdict is everything the demo has measured.
type verdict struct {
	answers     []answer
	loss        [2]float64    // held-out, of the base and the tuned model
	train, tune time.Duration // seconds of all steps
	since       time.Duration // since the rows were written
}

func read(dir string) (v verdict, err error) {
	path := func(name ...string) string { return filepath.Join(append([]string{dir}, name...)...) }
	type message struct{ Content string }
	rows, err := lines[struct{ Messages []message }](path("data", "held-out.jsonl"))
	if err != nil {
		return v, err
	}
	type said struct{ Text string }
	base, err := lines[said](path("base.jsonl"))
	if err != nil {
		return v, err
	}
	tuned, err := lines[said](path("tuned.jsonl"))
	if err != nil {
		return v, err
	}
	if len(rows) == 0 || len(base) != len(rows) || len(tuned) != len(rows) {
		return v, fmt.Errorf("%d held-out rows, %d answers of the base and %d of the tuned model; start over with make demo", len(rows), len(base), len(tuned))
	}
	for i, r := range rows {
		n := len(r.Messages) - 1
		if n < 1 {
			return v, fmt.Errorf("held-out row %d has no answer", i+1)
		}
		v.answers = append(v.answers, answer{r.Messages[n-1].Content, r.Messages[n].Content, base[i].Text, tuned[i].Text})
	}
	if err := v.readLosses(path("eval.json")); err != nil {
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

// readLosses reads the report of `attune eval --json`: base, then tuned.
func (v *verdict) readLosses(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var reports []struct{ Loss float64 }
	if err := json.Unmarshal(raw, &reports); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(reports) != 2 {
		return fmt.Errorf("%s: %d reports, want those of base and tuned model", path, len(reports))
	}
	v.loss = [2]float64{reports[0].Loss, reports[1].Loss}
	return nil
}

// seconds is the time of all steps in a metrics.jsonl.
func seconds(path string) (time.Duration, error) {
	steps, err := lines[struct{ Seconds float64 }](path)
	sum := 0.0
	for _, s := range steps {
		sum += s.Seconds
	}
	return time.Duration(sum * float64(time.Second)).Round(time.Second), err
}

// lines reads a JSON value a line.
func lines[T any](path string) (all []T, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var v T
		if err := d.Decode(&v); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, v)
	}
}

// exact counts the answers that are right to the letter.
func (v *verdict) exact() (base, tuned int) {
	for _, a := range v.answers {
		if a.base == a.expected {
			base++
		}
		if a.tuned == a.expected {
			tuned++
		}
	}
	return base, tuned
}

// check is the error of a demo that does not show what it should.
func (v *verdict) check() error {
	base, tuned := v.exact()
	n := float64(len(v.answers))
	if float64(tuned) < tunedAtLeast*n {
		return fmt.Errorf("the tuned model answered %d of %d held-out rows right, fewer than %.0f %%", tuned, len(v.answers), 100*tunedAtLeast)
	}
	if float64(base) > baseAtMost*n {
		return fmt.Errorf("the base answered %d of %d held-out rows right, more than %.0f %%: the rows show nothing", base, len(v.answers), 100*baseAtMost)
	}
	return nil
}

// samples is how many answers are shown.
const samples = 6

func (v *verdict) print(w io.Writer, dir string) {
	fmt.Fprintln(w, "\nHeld-out rows, answered with --greedy:")
	for _, a := range v.answers[:min(samples, len(v.answers))] {
		fmt.Fprintf(w, "\n  row      %s\n  expected %s\n  base     %s\n  tuned    %s\n", oneLine(a.prompt), a.expected, oneLine(a.base), oneLine(a.tuned))
	}
	base, tuned := v.exact()
	n := len(v.answers)
	fmt.Fprintf(w, "\n  %-28s %8s %8s\n", fmt.Sprintf("%d held-out rows", n), "base", "tuned")
	fmt.Fprintf(w, "  %-28s %6.1f %% %6.1f %%\n", "exactly right", 100*float64(base)/float64(n), 100*float64(tuned)/float64(n))
	fmt.Fprintf(w, "  %-28s %8.3f %8.3f\n", "loss", v.loss[0], v.loss[1])
	fmt.Fprintf(w, "\n  pre-training %v, tuning %v, everything since the rows were written %v\n\n", v.train, v.tune, v.since.Round(time.Second))
	for _, f := range [][2]string{
		{"pretrain/model", "the base model, a Hugging Face directory"}, {"tune/adapter", "the LoRA adapter, as PEFT writes it"},
		{"pretrain/loss.png", "the loss of the pre-training"}, {"tune/loss.png", "the loss of the tuning, and on the held-out rows"},
		{"data", "text, rows and held-out rows"}, {"tuned.jsonl", "every answer of the tuned model; base.jsonl has the base's"},
	} {
		fmt.Fprintf(w, "  %-28s %s\n", filepath.Join(dir, filepath.FromSlash(f[0])), f[1])
	}
}

// oneLine shows a text in a line of its own.
func oneLine(t string) string { return strings.ReplaceAll(strings.TrimSpace(t), "\n", " / ") }
