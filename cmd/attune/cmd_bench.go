package main

import (
	"fmt"
	"io"
	"strings"

	"attune/engine/model"
	"attune/internal/obs"

	"github.com/spf13/cobra"
)

func newBench(s streams) *cobra.Command {
	var o benchOptions
	var asJSON, config bool
	cmd := &cobra.Command{
		Use:   "bench --shape NAME",
		Short: "Time training steps of a model's shape with random weights",
		Long: `bench makes random weights of a published model's sizes in memory, trains a LoRA adapter (or, with --lora-r 0, all weights) on
random tokens for a few steps, and prints tokens a second, the memory planned and taken, and with --profile the time of every kernel.
No file is read or written.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			if config {
				return printConfig(s.out, o.shape)
			}
			if err := handOver(cmd.Context(), s, o.device); err != nil {
				return err
			}
			bar := obs.NewProgress(s.err, "step", 0, o.warmup+o.steps)
			r, err := bench(cmd.Context(), o, func(done int) { bar.Step(done) })
			bar.Done()
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(s.out, r)
			}
			return r.print(s.out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.shape, "shape", "", "model: "+strings.Join(model.Shapes(), ", "))
	f.IntVar(&o.tokens, "tokens", 4096, "tokens of a packed row")
	f.IntVar(&o.examples, "examples", 1, "examples of equal length in a row")
	f.IntVar(&o.rows, "rows", 1, "rows of an optimizer step")
	f.IntVar(&o.steps, "steps", 10, "measured steps")
	f.IntVar(&o.warmup, "warmup", 3, "steps before them")
	f.IntVar(&o.r, "lora-r", 16, "rank of LoRA on all linear layers; 0 = train all weights")
	f.StringVar(&o.recompute, "recompute", "auto", "auto, none or full")
	f.BoolVar(&o.profile, "profile", false, "time every kernel of one row after the steps, each waited for")
	f.StringVar(&o.device, "device", "auto", "auto, cpu or cuda")
	f.StringVar(&o.dtype, "dtype", "auto", "auto, float32 or bfloat16")
	f.IntVar(&o.threads, "threads", 0, "0 = all cores")
	f.BoolVar(&config, "config", false, "print the shape's config.json and do nothing else")
	f.BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func (o benchOptions) validate() error {
	for name, v := range map[string]int{"tokens": o.tokens, "examples": o.examples, "rows": o.rows, "steps": o.steps} {
		if v < 1 {
			return usagef("--%s %d; it must be at least 1", name, v)
		}
	}
	if err := knownDevice(o.device); err != nil {
		return err
	}
	switch {
	case o.shape == "":
		return usagef("no shape; give one with --shape: %s", strings.Join(model.Shapes(), ", "))
	case o.tokens%o.examples != 0:
		return usagef("--tokens %d is no multiple of --examples %d", o.tokens, o.examples)
	case o.warmup < 0 || o.r < 0 || o.threads < 0:
		return usagef("--warmup, --lora-r and --threads must not be negative")
	case o.recompute != "auto" && o.recompute != "none" && o.recompute != "full":
		return usagef("--recompute %q; there are auto, none, full", o.recompute)
	}
	return nil
}

// printConfig is for those who time the same shape with other programs.
func printConfig(w io.Writer, shape string) error {
	text, err := model.Shape(shape)
	if err != nil {
		return asUsage(err)
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

func (r benchReport) print(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "model   %s, %d parameters, %d trained\n", r.Shape, r.Parameters, r.Trained)
	fmt.Fprintf(b, "device  %s, %s\n", r.Device, r.Dtype)
	if r.Warning != "" {
		fmt.Fprintf(b, "warning %s\n", r.Warning)
	}
	fmt.Fprintf(b, "step    %d rows of %d tokens, %d of %d layers recomputed\n", r.Rows, r.Tokens, r.Recomputed, r.Layers)
	fmt.Fprintf(b, "speed   %.0f tokens/s, %.3f s a step (median of %d), %.3g TFLOP/s\n", r.TokensPerSecond, r.Median, len(r.Seconds), r.TFLOPs)
	fmt.Fprintf(b, "memory  %s planned", mib(r.Planned))
	if r.Measured > 0 {
		fmt.Fprintf(b, ", %s taken", mib(r.Measured))
	}
	fmt.Fprintf(b, "\nloss    %.4f to %.4f\n", r.Losses[0], r.Losses[len(r.Losses)-1])
	if len(r.Profile) > 0 {
		fmt.Fprintf(b, "\n%-24s %6s %10s %7s %9s %9s\n", "kernel", "calls", "ms", "share", "GFLOP/s", "GB/s")
		var all float64
		for _, k := range r.Profile {
			all += k.Seconds
		}
		for _, k := range r.Profile {
			fmt.Fprintf(b, "%-24s %6d %10.2f %6.1f%% %9.0f %9.1f\n", k.Kernel, k.Calls, 1e3*k.Seconds, 100*k.Seconds/all,
				float64(k.FLOP)/k.Seconds/1e9, float64(k.Bytes)/k.Seconds/1e9)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
