package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"attune/data/corpus"
	"attune/data/show"
	"attune/data/source"
	"attune/engine/model"
	"attune/internal/disk"
	"attune/internal/obs"

	"github.com/spf13/cobra"
)

func newData(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "data", Short: "Look at rows as the model gets them", Args: knownCommand, RunE: showHelp}
	cmd.AddCommand(newDataShow(s))
	return cmd
}

// showOptions are the flags of `attune data show`.
type showOptions struct {
	textFlags
	rowFlags
	rows, color, html string
	tokens, jsonl     bool

	files  []corpus.File
	wanted show.Numbers
}

func newDataShow(s streams) *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show FILE --model DIR | [FILE] -c run.yaml",
		Short: "Print rows as the model gets them: text, tokens, what is trained, what is cut",
		Long: `show renders rows with the chat template, cuts them into tokens and prints what the model gets and what it is taught:
ids and weights are those of training. Each line says whose words it holds; + is trained, x is cut away, everything else is
read only. Blanks, tabs and line ends are visible; other characters that cannot be seen are shown by their number.

With -c everything that decides how rows become examples is a run's, and so are the rows: all its files, or FILE of them.
Flags stand instead of single settings. No weights are opened. The exit code is 3 if a row that was shown is bad.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("show takes one file of rows, got %q; a run file (-c) may name several", args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.settle(args, cmd.Flags().Changed); err != nil {
				return err
			}
			return runShow(cmd.Context(), s, o)
		},
	}
	o.textFlags.add(cmd)
	o.rowFlags.add(cmd, "FILE")
	f := cmd.Flags()
	f.StringVar(&o.rows, "rows", "1-5", "rows of each file: 7, 1-20, 30- or 1-3,8")
	f.BoolVar(&o.tokens, "tokens", false, "list each token with its id, its weight and where it came from")
	f.StringVar(&o.color, "color", "auto", "auto = on a terminal, unless NO_COLOR is set; always or never")
	f.StringVar(&o.html, "html", "", "write a page for the browser to this file")
	f.BoolVar(&o.jsonl, "jsonl", false, "one JSON object a row")
	return cmd
}

// settle lays the flags that were given over the run file's settings, or their defaults, and checks them.
func (o *showOptions) settle(args []string, given func(flag string) bool) (err error) {
	if err := o.rowFlags.settle(&o.textFlags, given); err != nil {
		return err
	}
	if o.wanted, err = show.ParseNumbers(o.rows); err != nil {
		return asUsage(fmt.Errorf("--%w", err))
	}
	if err := o.pick(args, given("format")); err != nil {
		return err
	}
	return o.check()
}

// pick finds the files: the one named, of the run file's if there is one, or all of those.
func (o *showOptions) pick(args []string, format bool) error {
	all := append(files(o.cfg.Data.Train), files(o.cfg.Data.Eval)...)
	if o.runFile == "" {
		if len(args) == 0 {
			return usagef("no rows; name a file of rows, or a run file with -c")
		}
		o.files = []corpus.File{{Path: args[0], Format: o.format}}
		return nil
	}
	if o.files = all; len(args) == 1 {
		o.files = slices.DeleteFunc(all, func(f corpus.File) bool { return !sameFile(f.Path, args[0]) })
	}
	if len(o.files) == 0 {
		return usagef("%s is none of the files that %s names; leave -c out, and give --model, to look at it by itself", args[0], o.runFile)
	}
	if format {
		if len(args) == 0 {
			return usagef("--format is the schema of FILE; a run file has it beside each file")
		}
		for i := range o.files {
			o.files[i].Format = o.format
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX != nil || errY != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return os.SameFile(x, y)
}

func (o *showOptions) check() error {
	switch st, err := os.Stat(o.model); {
	case o.model == "":
		return usagef("no model, whose tokenizer and template make the rows what they are; give one with --model DIR")
	case err != nil || !st.IsDir():
		return usagef("--model %s is not a directory", o.model)
	case !slices.Contains([]string{"auto", "always", "never"}, o.color):
		return usagef("--color %q; there are auto, always, never", o.color)
	case o.html != "" && o.jsonl:
		return usagef("--html and --jsonl are two forms; take one")
	case o.tokens && (o.html != "" || o.jsonl):
		return usagef("--tokens is for text: a page and JSON lines have the tokens in any case")
	}
	if err := o.rowFlags.check(); err != nil {
		return err
	}
	for _, f := range o.files {
		if st, err := os.Stat(f.Path); err != nil {
			return usagef("rows: %w", err)
		} else if st.IsDir() {
			return usagef("rows: %s is a directory; name a .jsonl or .json file in it", f.Path)
		}
	}
	return nil
}

// corpusOptions say how the rows become examples, as a run would have them.
func (o *showOptions) corpusOptions(s streams, t *text) (corpus.Options, error) {
	date := time.Now()
	if o.runFile != "" { // one that was started keeps its date
		var err error
		if date, err = (&runDir{path: o.cfg.RunDir}).date(time.Now); err != nil {
			return corpus.Options{}, err
		}
	}
	co, err := t.corpusOptions(o.cfg, date)
	if err != nil {
		return co, err
	}
	co.Names = o.names()
	m, err := model.ReadConfig(o.model)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		fmt.Fprintf(s.err, "warning: %v; whether the model can read these ids and lengths is not looked at\n", err)
	default:
		t.reachable(s.err, m)
		co = forModel(m, "", co)
	}
	return co, nil
}

func runShow(ctx context.Context, s streams, o showOptions) error {
	t, err := loadText(o.model, o.template)
	if err != nil {
		return err
	}
	co, err := o.corpusOptions(s, t)
	if err != nil {
		return err
	}
	about := show.About{Model: o.model, TokenizerSHA256: t.tok.SHA256(), TemplateSHA256: t.hash()}
	if t.tmpl != nil {
		about.Template = t.tmpl.Name()
	}
	for _, d := range co.Doubts {
		if about.Doubts = append(about.Doubts, d.What+"; "+d.Do); o.jsonl { // whose lines are rows
			fmt.Fprintf(s.err, "warning: %s\n", about.Doubts[len(about.Doubts)-1])
		}
	}
	if o.html == "" {
		var p show.Printer
		if o.jsonl {
			p = show.NewJSONL(s.out)
		} else {
			p = show.NewText(s.out, about, show.TextOptions{Color: o.colored(s), Tokens: o.tokens, Width: obs.Columns(s.out)})
		}
		bad, err := o.print(ctx, p, co)
		return errors.Join(err, bad)
	}
	var bad, failed error // of the rows, which are no fault of the file's
	err = disk.Create(disk.OS(), o.html, func(w io.Writer) error {
		p, err := show.NewHTML(w, about)
		if err == nil {
			bad, failed = o.print(ctx, p, co)
		}
		return errors.Join(err, failed)
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "wrote %s\n", o.html)
	return bad
}

// print shows the rows of all files; bad says that some of them are.
func (o *showOptions) print(ctx context.Context, p show.Printer, co corpus.Options) (bad, err error) {
	var all show.Summary
	var complaints corpus.Error
	var ends []string // of the files
	for _, f := range o.files {
		sum := show.Summary{Path: f.Path}
		row := func(r show.Row) error {
			sum.Add(r)
			return p.Row(r)
		}
		sum.Of, err = show.Each(ctx, f, co, o.wanted, row)
		var whole *source.RowError
		if errors.As(err, &whole) { // the file cannot be read, or no row of it rendered
			err = row(show.Row{Position: whole.Position, Err: whole})
		}
		if err == nil {
			err = p.File(sum)
		}
		if err != nil {
			return nil, fmt.Errorf("show %s: %w", f.Path, err)
		}
		if err := sum.Err(); err != nil {
			complaints.Files = append(complaints.Files, err)
		}
		all.Join(sum)
		ends = append(ends, fmt.Sprintf("%s ends with row %d", f.Path, sum.Of))
	}
	switch {
	case len(complaints.Files) > 0:
		bad = &complaints
	case all.Rows == 0:
		return nil, usagef("--rows %s: nothing to show; %s", o.rows, strings.Join(ends, ", "))
	}
	return bad, p.End(all)
}

// colored: the text has colours. NO_COLOR is what https://no-color.org says of it.
func (o *showOptions) colored(s streams) bool {
	switch o.color {
	case "always":
		return true
	case "never":
		return false
	}
	return os.Getenv("NO_COLOR") == "" && !strings.EqualFold(os.Getenv("TERM"), "dumb") && obs.Columns(s.out) > 0
}
