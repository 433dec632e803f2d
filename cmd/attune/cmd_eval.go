package main

import (
	"context"
	"errors"
	"os"

	"attune/data/corpus"
	"attune/engine/eval"
	"attune/internal/config"
	"attune/internal/obs"

	"github.com/spf13/cobra"
)

// evalOptions are the flags of `attune eval`.
type evalOptions struct {
	modelFlags
	rowFlags
	rows    string
	answers bool
	limit   int
	maxNew  int
	samples int
	asJSON  bool
	given   func(flag string) bool // on the command line, or as a setting of the run file
}

func newEval(s streams) *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval --model DIR --data rows.jsonl | -c run.yaml",
		Short: "Judge a model on held-out rows; with --adapter, beside its base",
		Long: `eval prints the mean loss of the rows' trained tokens and, with --answers, generates each row's last assistant turn
greedily and counts those that are exactly right. With --adapter both the base and the adapted model are judged. The loss is
over all rows but what --overlength drops or cuts; the answers over all rows, or the first of them with --limit.

With -c everything that decides the loss is a run's: model, template, data.eval, system prompt, what is trained, lengths and
dtype, so that its adapter has the loss that training printed. Flags stand instead of single settings.

` + asLearnedHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.settle(cmd.Flags().Changed); err != nil {
				return err
			}
			return runEval(cmd.Context(), s, o)
		},
	}
	o.modelFlags.add(cmd)
	o.rowFlags.add(cmd, "--data")
	f := cmd.Flags()
	f.StringVar(&o.rows, "data", "", "held-out rows")
	f.BoolVar(&o.answers, "answers", false, "generate answers and count the exact ones")
	f.IntVar(&o.limit, "limit", 0, "answer only so many rows (0 = all)")
	f.IntVar(&o.maxNew, "max-new-tokens", 128, "most tokens of one answer")
	f.IntVar(&o.samples, "samples", 5, "answers shown")
	f.BoolVar(&o.asJSON, "json", false, "as JSON, with every answer")
	return cmd
}

// settle lays the flags that were given over the run file's settings, or their defaults.
func (o *evalOptions) settle(given func(flag string) bool) error {
	if err := o.rowFlags.settle(&o.textFlags, given); err != nil {
		return err
	}
	o.given = func(flag string) bool { return o.runFile != "" || given(flag) }
	c := &o.cfg
	lay(given("device"), &o.device, &c.Compute.Device)
	lay(given("dtype"), &o.dtype, &c.Compute.Dtype)
	lay(given("threads"), &o.threads, &c.Compute.Threads)
	c.Data.MaxCutShare = 1 // how many rows are judged is said, and nothing is spoilt by it
	if given("data") {
		c.Data.Eval = []config.Source{{Path: o.rows, Format: o.format}}
	} else if given("format") {
		return usagef("--format is the schema of --data; a run file has it beside each file")
	}
	return nil
}

// verdict is how one model did.
type verdict struct {
	Model   string          `json:"model"`
	Adapter string          `json:"adapter,omitempty"`
	Rows    []corpus.Report `json:"rows"` // of each file, what the loss is over and what became of the rest
	Loss    float64         `json:"loss"`
	Tokens  int             `json:"tokens"`
	Exact   *float64        `json:"exact_match,omitempty"` // share of the answers
	Answers []eval.Answer   `json:"answers,omitempty"`
}

func runEval(ctx context.Context, s streams, o evalOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	l, err := o.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	l.text.kwargs = o.cfg.TemplateKwargs
	if o.cfg.System, err = l.asLearned(s.err, o.cfg.System, o.given); err != nil {
		return err
	}
	o.cfg.TemplateKwargs = l.text.kwargs
	h, err := o.read(ctx, s, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSets(h.sets)) }()
	verdicts := []verdict{{Model: o.model}}
	if o.adapter != "" {
		verdicts = append(verdicts, verdict{Model: o.model, Adapter: o.adapter})
	}
	for i := range verdicts {
		if err := o.judge(ctx, s, l, h, &verdicts[i]); err != nil {
			return err
		}
	}
	if o.asJSON {
		return writeJSON(s.out, verdicts)
	}
	return printVerdicts(s, verdicts, o.names().MaxLength, o.samples)
}

func (o *evalOptions) check() error {
	if len(o.cfg.Data.Eval) == 0 {
		return usagef("no rows; give a file with --data, or a run file that has data.eval with -c")
	}
	for _, f := range o.cfg.Data.Eval {
		if _, err := os.Stat(f.Path); err != nil {
			return usagef("--data: %w", err)
		}
	}
	switch err := o.rowFlags.check(); {
	case err != nil:
		return err
	case o.answers && o.maxNew < 1:
		return usagef("--max-new-tokens %d; it must be at least 1", o.maxNew)
	case o.limit < 0 || o.samples < 0:
		return usagef("--limit and --samples must not be negative")
	}
	return nil
}

// judge measures the model that v names.
func (o *evalOptions) judge(ctx context.Context, s streams, l *loaded, h heldOut, v *verdict) (err error) {
	if err := l.build(v.Adapter != ""); err != nil {
		return err
	}
	answering := eval.AnswerOptions{Stops: l.text.stops, MaxNewTokens: o.maxNew, Window: l.window()}
	n, err := o.need(l, h, answering)
	if err != nil {
		return err
	}
	if err := l.place(n); err != nil {
		return err
	}
	l.session.SetLengths(0, h.rows.Longest)
	v.Rows = h.reports
	if v.Loss, v.Tokens, err = eval.MeanLoss(ctx, l.session, h.rows.Batches()); err != nil || !o.answers {
		return err
	}
	bar := obs.NewProgress(s.err, "answer", 0, len(h.questions))
	defer bar.Done()
	answering.Progress = func(n int) { bar.Step(n) }
	v.Answers, err = eval.Answers(ctx, l.session, l.text.tok, h.questions, answering)
	v.Exact = exactMatch(v.Answers)
	return err
}

// need is what judging takes: an arena for losses and answers alike, and the answers' cache.
func (o *evalOptions) need(l *loaded, h heldOut, a eval.AnswerOptions) (n need, err error) {
	less := "take a smaller " + o.names().MaxLength
	if o.answers {
		rows, prompt := a.Room(h.questions)
		if n, err = l.decoding(rows, prompt, less+" or --max-new-tokens"); err != nil {
			return n, err
		}
		less = n.less
	}
	loss, err := l.session.JudgingPlan(h.rows.Longest)
	return need{Plan: n.Plan.Join(loss), less: less}, err
}
