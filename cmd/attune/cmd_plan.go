package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"attune/data/corpus"
	"attune/data/pack"
	"attune/engine/exec"

	"github.com/spf13/cobra"
)

func newPlan(s streams) *cobra.Command {
	var flags runFileFlags
	var asJSON, timing, otherText bool
	cmd := &cobra.Command{
		Use:   "plan -c run.yaml",
		Short: "Tell what training would do and take, without training",
		Long: `plan reads every row, loads the model's header, compiles the graph and prints rows, tokens, steps, parameters, the
peak memory by the static plan and the expected time, by timing a short row of the first step. It exits with 4 if the run
does not fit the memory that is free.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load()
			if err != nil {
				return err
			}
			if err := handOver(cmd.Context(), s, cfg.Compute.Device); err != nil {
				return err
			}
			j, err := newJob(cmd.Context(), s, cfg, beginning{date: time.Now()}, otherText)
			if err != nil {
				return err
			}
			p, err := j.describe()
			if err == nil && timing {
				p.Time, err = j.estimate(cmd.Context())
			}
			if err == nil {
				if asJSON {
					err = writeJSON(s.out, p)
				} else {
					err = p.print(s)
				}
			}
			return errors.Join(err, j.close())
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&otherText, "allow-template-change", false, otherTextUsage)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVar(&timing, "time", true, "load the weights and time a short row, for the expected time")
	return cmd
}

// planReport is what plan prints.
type planReport struct {
	Train         []corpus.Report `json:"train"`
	Eval          []corpus.Report `json:"eval"`
	Steps         int             `json:"steps"`
	StepsPerEpoch int             `json:"steps_per_epoch"`
	Warmup        int             `json:"warmup_steps"`
	RowTokens     int             `json:"micro_batch_tokens"`
	RowFLOP       int64           `json:"row_flop"`  // of a full row, forward and backward
	RowBytes      int64           `json:"row_bytes"` // what its operations read and write, in float32
	Trainable     int64           `json:"trainable_parameters"`
	Parameters    int64           `json:"parameters"`
	Device        string          `json:"device"`
	Dtype         string          `json:"dtype"`
	Recomputed    int             `json:"recomputed_layers"`
	Layers        int             `json:"layers"`
	Memory        memoryReport    `json:"memory"`
	Checkpoints   string          `json:"checkpoints"` // how they are written: background, foreground
	NoCopy        int64           `json:"-"`           // bytes for which there is no room, so that it is the foreground
	Time          *timeReport     `json:"time,omitempty"`
}

// describe compiles the graph of the longest row and adds everything up. A run that does not fit is an exec.ErrMemory.
func (j *job) describe() (planReport, error) {
	p := planReport{Train: j.reports, Eval: j.held, Steps: j.data.Steps(), StepsPerEpoch: j.data.StepsPerEpoch(), Warmup: j.schedule.Warmup,
		RowTokens: j.rowTokens(), Device: j.device.Name(), Dtype: j.dtype.String()}
	p.Trainable, p.Parameters = j.trainable()
	if p.Eval == nil {
		p.Eval = []corpus.Report{}
	}
	free, err := memoryFree(j.device)
	if err != nil {
		return p, err
	}
	plan, err := j.compile(free)
	if errors.Is(err, exec.ErrMemory) {
		if j.device.Discrete {
			err = fmt.Errorf("on the device: %w", err)
		}
		err = fmt.Errorf("%w; %s", err, j.lessMemory())
	}
	if err != nil {
		return p, err
	}
	j.compiled, p.Recomputed, p.Layers = plan, plan.Recomputed, plan.Layers
	p.RowFLOP, p.RowBytes = plan.Cost.FLOP, plan.Cost.Bytes
	p.Memory = j.memory(plan, 0)
	if p.Memory.Total > free {
		return p, fmt.Errorf("%w: the run takes %s, %s; %s", exec.ErrMemory, mib(p.Memory.Total), areFree(j.device, free), j.lessMemory())
	}
	hostFree := free
	if p.Memory.Host != nil {
		if hostFree, err = hostMemoryFree(); err != nil {
			return p, err
		}
		if n := p.Memory.Host.Total; n > hostFree {
			return p, fmt.Errorf("%w: the process takes %s of the host's memory, %s of it are free", exec.ErrMemory, mib(n), mib(hostFree))
		}
	}
	p.addSnapshot(j, hostFree)
	p.Memory.free(free, hostFree)
	return p, nil
}

// addSnapshot has checkpoints written in the background where there is room for the copy that this needs beside the run as it
// is, of so many bytes of the host that are free: not one layer is recomputed for it.
func (p *planReport) addSnapshot(j *job, free int64) {
	copied := j.snapshot()
	p.Checkpoints = "foreground"
	if copied == 0 {
		return
	}
	m := j.memory(j.compiled, copied)
	if taken := m.training; !j.device.Discrete && taken > free || j.device.Discrete && m.Host.Total > free {
		p.NoCopy = copied
		return
	}
	p.Memory = m
	if j.early() {
		p.Checkpoints = "background"
	}
}

func (p planReport) print(s streams) error {
	w := &bytes.Buffer{}
	for _, g := range []struct {
		name    string
		reports []corpus.Report
	}{{"train", p.Train}, {"eval", p.Eval}} {
		for _, r := range g.reports {
			printRows(w, g.name, "data.max_length", r)
		}
	}
	fmt.Fprintf(w, "steps   %d (%d an epoch, %d of warm-up), rows of up to %d tokens\n", p.Steps, p.StepsPerEpoch, p.Warmup, p.RowTokens)
	fmt.Fprintf(w, "model   %d parameters, %d trained (%.2f %%)\n", p.Parameters, p.Trainable, 100*float64(p.Trainable)/float64(p.Parameters))
	fmt.Fprintf(w, "device  %s, %s\n", p.Device, p.Dtype)
	fmt.Fprintf(w, "work    %.3f GFLOP a row of %d tokens, forward and backward, over %.3f GB of operands in float32\n", float64(p.RowFLOP)/1e9, p.RowTokens, float64(p.RowBytes)/1e9)
	m := p.Memory
	fmt.Fprintf(w, "memory  %s expected at the peak", mib(m.Total))
	if m.Host != nil {
		fmt.Fprintf(w, " on the device")
	}
	if m.Free > 0 {
		fmt.Fprintf(w, ", %s are free", mib(m.Free))
	}
	fmt.Fprintf(w, "\n        weights %s, trained weights %s, gradients %s, optimizer %s, activations %s (%d of %d layers recomputed), kernels %s",
		mib(m.Weights), mib(m.Trained), mib(m.Gradients), mib(m.Optimizer), mib(m.Activations), p.Recomputed, p.Layers, mib(m.Kernels))
	if m.Host == nil {
		fmt.Fprintf(w, ", program %s\n", mib(m.Program))
	} else {
		fmt.Fprintf(w, ", inputs %s, graphs %s at most, whole pages %s\n        and %s of the host", mib(m.Inputs), mib(m.Graphs), mib(m.Pages), mib(m.Host.Total))
		if m.Host.Free > 0 {
			fmt.Fprintf(w, ", of which %s are free", mib(m.Host.Free))
		}
		fmt.Fprintf(w, ": program %s\n", mib(m.Program))
	}
	switch {
	case m.Snapshot > 0:
		fmt.Fprintf(w, "        a copy of %s, from which checkpoints are written%s\n", mib(m.Snapshot), map[string]string{"background": " while training goes on"}[p.Checkpoints])
	case p.NoCopy > 0:
		fmt.Fprintf(w, "        %s\n", p.inForeground())
	}
	if p.Time != nil {
		fmt.Fprintf(w, "time    %s expected, %.0f tokens/s, by timing %d tokens of the first step\n",
			time.Duration(p.Time.Seconds*float64(time.Second)).Round(time.Second), p.Time.TokensPerSecond, p.Time.MeasuredTokens)
	}
	_, err := s.out.Write(w.Bytes())
	return err
}

// inForeground says why training will stand still while checkpoints are written.
func (p planReport) inForeground() string {
	return "checkpoints are written in the foreground: no room for a copy of " + mib(p.NoCopy)
}

// printRows says what became of a file's rows; limit is the name of the setting for the longest example.
func printRows(w io.Writer, name, limit string, r corpus.Report) {
	fmt.Fprintf(w, "%-7s %s: %d rows (%s), %d examples, %d tokens, %d trained (%.0f %%), longest %d\n", name, r.Path, r.Rows, r.Schema, r.Examples,
		r.Tokens, r.TrainedTokens, 100*float64(r.TrainedTokens)/float64(r.Tokens), r.Longest)
	if r.Cut+r.Split+r.Dropped > 0 {
		fmt.Fprintf(w, "        over %s: %d cut, %d split, %d dropped; %d trained tokens lost\n", limit, r.Cut, r.Split, r.Dropped, r.TrainedLost)
	}
	for _, odd := range r.Odd {
		fmt.Fprintf(w, "        %s\n", odd)
	}
	if more := r.Warnings - len(r.Odd); more > 0 {
		fmt.Fprintf(w, "        and %d rows more that are odd\n", more)
	}
}

// lessMemory is what makes a run that does not fit smaller, of the settings that still can.
func (j *job) lessMemory() string {
	var do []string
	if j.cfg.Compute.Recompute == "none" {
		do = append(do, "compute.recompute: full")
	}
	if n := j.rowTokens(); n > pack.RoundUp(j.longest) {
		do = append(do, fmt.Sprintf("a smaller compute.micro_batch_tokens than %d", n))
	}
	do = append(do, fmt.Sprintf("a smaller data.max_length than the longest example's %d tokens", j.longest))
	return "set " + strings.Join(do, ", or ")
}
