package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"attune/data/chat"
	"attune/data/corpus"
	"attune/data/loader"
	"attune/data/source"
	"attune/engine/eval"
)

// heldOut is what a model is judged on.
type heldOut struct {
	sets      []*loader.Set // of each file
	reports   []corpus.Report
	rows      *loader.Held
	questions []eval.Question // with --answers
}

// read reads the rows, before any weights are placed.
func (o *evalOptions) read(ctx context.Context, s streams, l *loaded) (h heldOut, err error) {
	var run *runDir
	if o.runFile != "" {
		run = &runDir{path: o.cfg.RunDir}
	}
	date, err := run.date(time.Now)
	if err != nil {
		return h, err
	}
	co, err := l.text.corpusOptions(o.cfg, date)
	if err != nil {
		return h, err
	}
	co = forModel(l.model.Config, os.TempDir(), co)
	co.Names = o.names()
	shown, done := counting(s.err, co)
	h.sets, h.reports, err = corpus.ReadAll(ctx, files(o.cfg.Data.Eval), shown)
	done()
	if err != nil {
		return h, err
	}
	h.rows = loader.NewHeld(h.sets, microTokens(o.cfg), l.text.pad)
	if o.answers {
		if h.questions, err = o.ask(ctx, l, co); err != nil {
			return h, errors.Join(err, closeSets(h.sets))
		}
	}
	return h, nil
}

// ask makes questions of the rows, up to --limit.
func (o *evalOptions) ask(ctx context.Context, l *loaded, co corpus.Options) (questions []eval.Question, err error) {
	if l.text.tmpl == nil {
		return nil, l.text.noTemplate
	}
	co.Context = ctx
	for _, f := range o.cfg.Data.Eval {
		if o.limit > 0 && len(questions) == o.limit {
			break
		}
		r, err := source.Open(ctx, f.Path, source.Options{Format: f.Format})
		if err != nil {
			return nil, err
		}
		for n := 1; err == nil && (o.limit == 0 || len(questions) < o.limit); n++ {
			var q eval.Question
			if q, err = l.question(r, co.Render(n)); err == nil {
				questions, err = append(questions, q), ctx.Err()
			}
		}
		if err == io.EOF {
			err = nil
		}
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
	}
	return questions, nil
}

// question makes one of the next row, rendered by ro, or is io.EOF.
func (l *loaded) question(r *source.Reader, ro chat.RenderOptions) (q eval.Question, err error) {
	c, err := r.Next()
	if err != nil {
		return q, err
	}
	if q, err = eval.Ask(l.text.tmpl, l.text.tok, c, ro, l.window()); err != nil {
		return q, err
	}
	if err = l.text.known(q.IDs, l.model); err != nil {
		err = fmt.Errorf("%s:%d: %w", q.File, q.Line, err)
	}
	return q, err
}
