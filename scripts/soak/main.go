// Soak trains for as long as is asked, with an evaluation and a checkpoint every few steps, and looks at the process at
// each checkpoint: memory, open files, threads, goroutines, processor time. What is more in the last third of the run than in
// the first one leaks; it exits with 1 then.
//
//	go build -o bin/attune ./cmd/attune && go run ./scripts/soak --minutes 30 --attune bin/attune
//
// Steps are held to be steady in processor time, which other work on the machine moves little; wall-clock time is told besides.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	minutes        float64
	program, model string
	shared         string
	every          int
	slower         float64
}

func main() {
	var o options
	flag.Float64Var(&o.minutes, "minutes", 30, "how long to train")
	flag.StringVar(&o.program, "attune", filepath.Join("bin", "attune"), "the program")
	flag.StringVar(&o.model, "model", filepath.Join(".cache", "smollm2"), "model directory; where it is not, a small one is made")
	flag.StringVar(&o.shared, "shared", filepath.Join("..", "shared"), "the reference data; where it is not, rows are made")
	flag.IntVar(&o.every, "every", 5, "steps between checkpoints, and between evaluations")
	flag.Float64Var(&o.slower, "slower", 0.05, "how much more processor time a token of the last third may take than one of the first")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	leaks, err := soak(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	if err != nil || leaks > 0 {
		os.Exit(1)
	}
}

// soak trains, samples and judges.
func soak(ctx context.Context, o options) (leaks int, err error) {
	root, err := os.MkdirTemp("", "attune-soak-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	if o.program, err = filepath.Abs(o.program); err != nil {
		return 0, err
	}
	if err := o.prepare(ctx, root); err != nil {
		return 0, err
	}
	fmt.Printf("%s, LoRA, bfloat16; checkpoint and evaluation every %d steps; %g minutes\n", o.model, o.every, o.minutes)
	samples, steps, err := o.train(ctx, root)
	if err != nil {
		return 0, err
	}
	return judge(samples, steps, o.slower)
}

// prepare makes what is not there: a model and rows.
func (o *options) prepare(ctx context.Context, root string) error {
	if _, err := os.Stat(filepath.Join(o.model, "config.json")); err != nil {
		o.model = filepath.Join(root, "model")
		out, err := exec.CommandContext(ctx, o.program, "new-model", o.model, "--hidden-size", "256", "--num-hidden-layers", "6").CombinedOutput()
		if err != nil {
			return fmt.Errorf("make a model: %w\n%s", err, out)
		}
	}
	rows := readRows(filepath.Join(o.shared, "data", "alpaca.jsonl"), 1024+8)
	for name, part := range map[string][]string{"train.jsonl": rows[8:], "eval.jsonl": rows[:8]} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(strings.Join(part, "\n")+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readRows are the first n lines of a file, or made ones.
func readRows(path string, n int) []string {
	if b, err := os.ReadFile(path); err == nil {
		if lines := strings.Split(string(b), "\n"); len(lines) > n {
			return lines[:n]
		}
	}
	rows := make([]string, n)
	for i := range rows {
		x, y := i*7%500, i*13%400
		rows[i] = fmt.Sprintf(`{"instruction": "What is %d + %d?", "output": "It is %d.%s"}`, x, y, x+y, strings.Repeat(" Yes, it is.", i%29))
	}
	return rows
}

// train runs the program for so long, samples it at each checkpoint, and asks it to stop.
func (o *options) train(ctx context.Context, root string) ([]sample, []step, error) {
	runDir := filepath.Join(root, "run")
	args := []string{"train", "--debug"}
	for _, set := range []string{"model=" + o.model, "data.train=" + filepath.Join(root, "train.jsonl"), "data.eval=" + filepath.Join(root, "eval.jsonl"),
		"data.max_length=256", "data.overlength=drop", "data.max_cut_share=1", "lora.r=16", "lora.dropout=0.05", "compute.dtype=bfloat16",
		"compute.micro_batch_tokens=512", "train.examples_per_step=2", "train.steps=1000000", "train.learning_rate=1e-5",
		fmt.Sprintf("eval.every=%d", o.every), fmt.Sprintf("checkpoint.every=%d", o.every), "checkpoint.keep=2", "run_dir=" + runDir} {
		args = append(args, "--set", set)
	}
	said := &strings.Builder{}
	cmd := exec.CommandContext(ctx, o.program, args...)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	log := follow{path: filepath.Join(runDir, "log.jsonl")}
	var samples []sample
	over, tick, told := time.After(time.Duration(o.minutes*float64(time.Minute))), time.NewTicker(50*time.Millisecond), time.Now()
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return nil, nil, fmt.Errorf("the run ended by itself: %w\n%s", err, said)
		case <-over:
			err := cmd.Process.Signal(syscall.SIGTERM)
			var exit *exec.ExitError
			if werr := <-ended; err == nil && (!errors.As(werr, &exit) || exit.ExitCode() != 130) {
				err = fmt.Errorf("after SIGTERM: %w\n%s", werr, said)
			}
			if err != nil {
				return nil, nil, err
			}
			steps, err := readSteps(filepath.Join(runDir, "metrics.jsonl"))
			return samples, steps, err
		case <-tick.C:
			health, err := log.health()
			if err == nil && len(health) > 0 {
				var s sample
				if s, err = look(cmd.Process.Pid, health[len(health)-1]); err == nil {
					samples = append(samples, s)
				}
			}
			if err != nil {
				return nil, nil, errors.Join(err, cmd.Process.Kill())
			}
			if len(samples) > 0 && time.Since(told) > time.Minute {
				told = time.Now()
				fmt.Println(samples[len(samples)-1])
			}
		}
	}
}
