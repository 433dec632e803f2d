package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"attune/data"
	"attune/data/chat"
	"attune/data/corpus"
	"attune/data/loader"
	"attune/data/source"
	"attune/engine/eval"
	"attune/internal/obs"

	"github.com/spf13/cobra"
)

// evalOptions are the flags of `attune eval`.
type evalOptions struct {
	modelFlags
	rows, format string
	maxLength    int
	overlength   string
	answers      bool
	limit        int
	maxNew       int
	samples      int
	asJSON       bool
}

func newEval(s streams) *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval --model DIR --data rows.jsonl",
		Short: "Judge a model on held-out rows; with --adapter, beside its base",
		Long: `eval prints the mean loss of the rows' trained tokens and, with --answers, generates each row's last assistant turn
greedily and counts those that are exactly right. With --adapter both the base and the adapted model are judged. The loss is
over all rows but what --overlength drops or cuts; the answers over all rows, or the first of them with --limit.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEval(cmd.Context(), s, o) },
	}
	o.modelFlags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.rows, "data", "", "held-out rows")
	f.StringVar(&o.format, "format", "auto", "schema of the rows")
	f.IntVar(&o.maxLength, "max-length", 2048, "longest example, in tokens")
	f.StringVar(&o.overlength, "overlength", "error", "what happens to a longer one: error, truncate, split or drop")
	f.BoolVar(&o.answers, "answers", false, "generate answers and count the exact ones")
	f.IntVar(&o.limit, "limit", 0, "answer only so many rows (0 = all)")
	f.IntVar(&o.maxNew, "max-new-tokens", 128, "of one answer")
	f.IntVar(&o.samples, "samples", 5, "answers shown")
	f.BoolVar(&o.asJSON, "json", false, "as JSON, with every answer")
	return cmd
}

// verdict is how one model did.
type verdict struct {
	Model   string        `json:"model"`
	Adapter string        `json:"adapter,omitempty"`
	Rows    corpus.Report `json:"rows"` // that the loss is over, and what became of the others
	Loss    float64       `json:"loss"`
	Tokens  int           `json:"tokens"`
	Exact   *float64      `json:"exact_match,omitempty"` // share of the answers
	Answers []eval.Answer `json:"answers,omitempty"`
}

func runEval(ctx context.Context, s streams, o evalOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	var verdicts []verdict
	for _, adapted := range []bool{false, true} {
		if adapted && o.adapter == "" {
			break
		}
		v, err := o.judge(ctx, s, adapted)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, v)
	}
	if o.asJSON {
		return writeJSON(s.out, verdicts)
	}
	printVerdicts(s, verdicts, o.samples)
	return nil
}

func (o *evalOptions) check() error {
	if o.rows == "" {
		return usagef("no rows; give a file with --data")
	}
	policies := []chat.Policy{chat.Refuse, chat.Truncate, chat.Split, chat.Drop}
	switch _, err := os.Stat(o.rows); {
	case err != nil:
		return usagef("--data: %w", err)
	case !slices.Contains(source.Formats(), o.format):
		return usagef("--format %q; there are %v", o.format, source.Formats())
	case !slices.Contains(policies, chat.Policy(o.overlength)):
		return usagef("--overlength %q; there are %v", o.overlength, policies)
	case o.maxLength < 8:
		return usagef("--max-length %d; it must be at least 8", o.maxLength)
	case o.answers && o.maxNew < 1:
		return usagef("--max-new-tokens %d; it must be at least 1", o.maxNew)
	case o.limit < 0 || o.samples < 0:
		return usagef("--limit and --samples must not be negative")
	}
	return nil
}

// judge measures the base or the adapted model.
func (o *evalOptions) judge(ctx context.Context, s streams, adapted bool) (v verdict, err error) {
	l, err := o.load(s.err, adapted)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	v.Model = o.model
	if adapted {
		v.Adapter = o.adapter
	}
	co, done := counting(s.err, forModel(l.model.Config, os.TempDir(), corpus.Options{Template: l.text.tmpl, NoTemplate: l.text.noTemplate, Tokenizer: l.text.tok, Stops: l.text.stops,
		MaxLength: o.maxLength, Overlength: chat.Policy(o.overlength)}))
	sets, reports, err := corpus.ReadAll(ctx, []corpus.File{{Path: o.rows, Format: o.format}}, co)
	done()
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, closeSets(sets)) }()
	v.Rows = reports[0]
	if v.Loss, v.Tokens, err = eval.MeanLossOf(ctx, l.session, loader.NewHeld(sets, max(2048, o.maxLength), l.text.pad).Batches()); err != nil || !o.answers {
		return v, err
	}
	rows, err := source.ReadAll(o.rows, source.Options{Format: o.format})
	if err != nil {
		return v, err
	}
	if o.limit > 0 && o.limit < len(rows) {
		rows = rows[:o.limit]
	}
	if v.Answers, err = o.answer(ctx, s, l, rows); err != nil {
		return v, err
	}
	v.Exact = exactMatch(v.Answers)
	return v, nil
}

// exactMatch is the share of the answers that are right, nil of none: JSON has no 0/0.
func exactMatch(answers []eval.Answer) *float64 {
	if len(answers) == 0 {
		return nil
	}
	share := float64(eval.Matches(answers)) / float64(len(answers))
	return &share
}

func (o *evalOptions) answer(ctx context.Context, s streams, l *loaded, rows []data.Conversation) ([]eval.Answer, error) {
	if l.text.tmpl == nil {
		return nil, l.text.noTemplate
	}
	bar := obs.NewProgress(s.err, "answer", 0, len(rows))
	defer bar.Done()
	return eval.Answers(ctx, l.session, l.text.tmpl, l.text.tok, l.text.stops, rows, o.maxNew, l.window(), func(n int) { bar.Step(n, "") })
}

func printVerdicts(s streams, vs []verdict, samples int) {
	names := []string{"base", "tuned"}
	printRows(s.out, "rows", "--max-length", vs[0].Rows)
	for i, v := range vs {
		fmt.Fprintf(s.out, "%-6s loss %.4f over %d tokens", names[i], v.Loss, v.Tokens)
		if v.Exact != nil {
			fmt.Fprintf(s.out, ", %d of %d answers exactly right (%.1f %%)", eval.Matches(v.Answers), len(v.Answers), 100**v.Exact)
			if n := v.Rows.Rows; len(v.Answers) < n {
				fmt.Fprintf(s.out, ", of the first of %d rows", n)
			}
		}
		fmt.Fprintln(s.out)
	}
	for i := range min(samples, len(vs[0].Answers)) {
		a := vs[0].Answers[i]
		fmt.Fprintf(s.out, "\nrow      %s\nexpected %s\n", oneLine(a.Prompt), oneLine(a.Expected))
		for k, v := range vs {
			fmt.Fprintf(s.out, "%-8s %s\n", names[k], oneLine(v.Answers[i].Got))
		}
	}
}

// oneLine shows a text in a line of its own.
func oneLine(t string) string {
	t = strings.ReplaceAll(strings.TrimSpace(t), "\n", `\n`)
	if r := []rune(t); len(r) > 100 {
		t = string(r[:100]) + "..."
	}
	return t
}
