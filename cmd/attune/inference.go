package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"attune/engine/exec"
	"attune/engine/model"
	"attune/engine/peft"
	"attune/engine/session"
	"attune/internal/config"
	"attune/kernels"

	"github.com/spf13/cobra"
)

// modelFlags are the flags of every command that runs a model without a run file.
type modelFlags struct {
	textFlags
	adapter, device, dtype string
	threads                int
	allowTemplateChange    bool
}

func (f *modelFlags) add(cmd *cobra.Command) {
	f.textFlags.add(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.adapter, "adapter", "", "PEFT adapter directory")
	fs.BoolVar(&f.allowTemplateChange, "allow-template-change", false, "use a model or an adapter that was trained with another chat template or tokenizer")
	fs.StringVar(&f.device, "device", "auto", "auto, cpu or cuda")
	fs.StringVar(&f.dtype, "dtype", "auto", "auto, float32 or bfloat16")
	fs.IntVar(&f.threads, "threads", 0, "0 = all cores")
}

// knownDevice refuses a --device that is a mistake rather than missing.
func knownDevice(name string) error {
	if !slices.Contains([]string{"auto", "cpu", "cuda"}, name) {
		return usagef("--device %q; there are auto, cpu, cuda", name)
	}
	return nil
}

// loaded is a model that was opened. All that can be wrong with it, or with what it is asked, can be found out before its
// weights are placed.
type loaded struct {
	text    *text
	device  *session.Device
	model   *model.Checkpoint
	dtype   kernels.Dtype
	adapter *peft.Adapter    // nil = none
	session *session.Session // of build
	adapted bool             // the session has the adapter
}

// open opens device, text, model and adapter, and builds the session of all. What is allowed and doubtful is said on standard
// error.
func (f *modelFlags) open(ctx context.Context, s streams) (l *loaded, err error) {
	w := s.err
	switch st, err := os.Stat(f.model); {
	case f.model == "":
		return nil, usagef("no model; give one with --model DIR")
	case err != nil || !st.IsDir():
		return nil, usagef("--model %s is not a directory", f.model)
	case f.threads < 0:
		return nil, usagef("--threads %d; it must not be negative (0 = all cores)", f.threads)
	}
	if err := knownDevice(f.device); err != nil {
		return nil, err
	}
	if err := handOver(ctx, s, f.device); err != nil {
		return nil, err
	}
	l = &loaded{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.device, err = session.OpenDevice(f.device, f.threads); err != nil {
		return l, err
	}
	warnOfDevice(w, l.device)
	if l.dtype, err = l.device.Dtype(f.dtype); err != nil {
		return l, asUsage(err)
	}
	if l.text, err = loadText(f.model, f.template); err != nil {
		return l, err
	}
	if f.kwargs != "" {
		if l.text.kwargs, err = config.Kwargs("template-kwargs", f.kwargs); err != nil {
			return l, err
		}
	}
	if l.model, err = model.Open(f.model); err != nil {
		return l, err
	}
	l.text.reachable(w, l.model.Config)
	if f.adapter != "" {
		if l.adapter, err = openAdapter(f.adapter); err != nil {
			return l, err
		}
		if err = allowed(w, fitsBase(l.model, l.adapter), true, ""); err != nil { // a copy in another dtype, say
			return l, err
		}
	}
	if err = allowed(w, l.text.fits(l.model, l.adapter), f.allowTemplateChange, "give the --template"+ownTemplate(l.adapter)+" or --model it was trained with, or --allow-template-change"); err != nil {
		return l, err
	}
	return l, l.build(l.adapter != nil)
}

// build makes the session of the base, or with the adapter on it, in the place of the one before.
func (l *loaded) build(adapted bool) (err error) {
	if l.session != nil {
		if err = l.session.Close(); err != nil {
			return err
		}
	}
	l.adapted = adapted
	o := session.Options{Device: l.device, Model: l.model, Dtype: l.dtype}
	if !adapted {
		l.session, err = session.New(o)
		return err
	}
	linears, err := l.model.Config.Linears()
	if err != nil {
		return err
	}
	c := l.adapter.Config
	if o.Adapter, err = c.Adapter(linears); err != nil {
		return err
	}
	if l.session, err = session.New(o); err != nil {
		return err
	}
	return l.adapter.Check(c, l.session.Params())
}

// need is what a use of a model takes of the device beside its weights.
type need struct {
	session.Plan
	less string // what makes it smaller
}

// decoding is the need of texts of up to rows tokens that begin with prompts of up to so many.
func (l *loaded) decoding(rows, prompt int, less string) (n need, err error) {
	n.less = less
	n.Plan, err = l.session.DecoderPlan(rows, prompt)
	return n, err
}

// place puts the session's weights on the device, and reserves what is needed beside them, if all that fits the memory that
// is free.
func (l *loaded) place(n need) error {
	if err := l.fits(n); err != nil {
		return err
	}
	if err := l.session.Place(); err != nil {
		return err
	}
	if err := l.session.Reserve(n.Plan); err != nil || !l.adapted {
		return err
	}
	return loadAdapter(l.session, l.adapter)
}

// fits is an exec.ErrMemory where the session is larger than the memory that is free.
func (l *loaded) fits(n need) error {
	free, err := memoryFree(l.device)
	if err != nil {
		return err
	}
	base := l.session.Buffers()
	weights := l.device.Takes(base) + l.device.Resident
	all := l.device.Takes(append(base, n.Buffers()...)) + l.device.Resident + n.Recordings
	var cache int64
	for _, bytes := range n.Cache {
		cache += bytes
	}
	switch {
	case weights > free:
		return fmt.Errorf("%w: the weights take %s%s, %s; take a smaller model", exec.ErrMemory, mib(weights), ofKernels(l.device), areFree(l.device, free))
	case all > free:
		return fmt.Errorf("%w: weights take %s, the key/value cache %s, activations %s, but %s; %s", exec.ErrMemory,
			mib(weights), mib(cache), mib(n.Arena), areFree(l.device, free), n.less)
	}
	return nil
}

// decoder places the weights and gives a decoder for texts of up to rows tokens that begin with prompts of up to so many.
// Where they do not fit the free memory, less says what to do.
func (l *loaded) decoder(rows, prompt int, less string) (*session.Decoder, error) {
	n, err := l.decoding(rows, prompt, less)
	if err != nil {
		return nil, err
	}
	if err := l.place(n); err != nil {
		return nil, err
	}
	return l.session.NewDecoder(rows)
}

// allowed makes a warning on w of a mismatch that the user allows; any other is a wrong use, with what to do about it.
func allowed(w io.Writer, mismatch error, allow bool, cure string) error {
	switch {
	case mismatch == nil:
		return nil
	case !allow:
		return usagef("%w; %s", mismatch, cure)
	}
	_, err := fmt.Fprintln(w, "warning:", mismatch)
	return err
}

// What is published says which chat template, tokenizer and special tokens it was trained with.
const (
	templateFact  = "template_sha256"
	tokenizerFact = "tokenizer_sha256"
	specialsFact  = "special_tokens_sha256"
)

// fits says which of chat template, tokenizer and special tokens a model, or the adapter on it, was trained with others of:
// it would be spoken to in a language that it has not learned. An adapter was trained last, so its word counts more than
// the model's; nil is none. What nobody says fits.
func (t *text) fits(m *model.Checkpoint, a *peft.Adapter) error {
	var said []string
	last := ""
	for _, x := range []struct{ what, fact, here string }{{"another chat template", templateFact, t.hash()}, {"another tokenizer", tokenizerFact, t.tok.SHA256()},
		{"other special tokens", specialsFact, t.specials()}} {
		who, there := "model "+m.Dir, m.Metadata()[x.fact]
		if a != nil && a.Metadata[x.fact] != "" {
			who, there = "adapter "+a.Dir, a.Metadata[x.fact]
		}
		if there == "" || there == x.here {
			continue
		}
		differs := fmt.Sprintf("%s (%s)", x.what, hashes(there, x.here))
		if who != last {
			differs = who + " was trained with " + differs
		}
		said, last = append(said, differs), who
	}
	if said == nil {
		return nil
	}
	return errors.New(strings.Join(said, ", "))
}

// hashes names what something was and what it is.
func hashes(there, here string) string {
	if here == "" {
		return fmt.Sprintf("SHA-256 %.12s..., here none", there)
	}
	return fmt.Sprintf("SHA-256 %.12s..., here %.12s...", there, here)
}

// ownTemplate is where an adapter has the template it was trained with, in brackets, or "".
func ownTemplate(a *peft.Adapter) string {
	if a == nil {
		return ""
	}
	path := filepath.Join(a.Dir, templateName)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return " (" + path + ")"
}

// window is the longest text the model was made for.
func (l *loaded) window() int { return l.model.Config.MaxPositionEmbeddings }

func (l *loaded) close() error {
	var errs []error
	if l.session != nil {
		errs = append(errs, l.session.Close())
	}
	if l.adapter != nil {
		errs = append(errs, l.adapter.Close())
	}
	if l.model != nil {
		errs = append(errs, l.model.Close())
	}
	if l.device != nil {
		errs = append(errs, l.device.Close())
	}
	return errors.Join(errs...)
}
