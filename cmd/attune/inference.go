package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"attune/engine/model"
	"attune/engine/peft"
	"attune/engine/session"

	"github.com/spf13/cobra"
)

// modelFlags are the flags of every command that runs a model without a run file.
type modelFlags struct {
	model, adapter, template, device, dtype string
	threads                                 int
	allowTemplateChange                     bool
}

func (f *modelFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.model, "model", "", "Hugging Face model directory")
	fs.StringVar(&f.adapter, "adapter", "", "PEFT adapter directory")
	fs.StringVar(&f.template, "template", "auto", "auto = the model's own, a .jinja file, or chatml | zephyr | llama3 | alpaca")
	fs.BoolVar(&f.allowTemplateChange, "allow-template-change", false, "use an adapter that was trained with another chat template or tokenizer")
	fs.StringVar(&f.device, "device", "auto", "auto, cpu or cuda")
	fs.StringVar(&f.dtype, "dtype", "auto", "auto, float32 or bfloat16")
	fs.IntVar(&f.threads, "threads", 0, "0 = all cores")
}

// loaded is a model ready to run.
type loaded struct {
	text    *text
	device  *session.Device
	model   *model.Checkpoint
	session *session.Session
}

// load opens device, text and model, puts the weights on the device and, with useAdapter, the adapter on them. What is
// allowed and doubtful is said on w.
func (f *modelFlags) load(w io.Writer, useAdapter bool) (l *loaded, err error) {
	switch st, err := os.Stat(f.model); {
	case f.model == "":
		return nil, usagef("no model; give one with --model DIR")
	case err != nil || !st.IsDir():
		return nil, usagef("--model %s is not a directory", f.model)
	case f.threads < 0:
		return nil, usagef("--threads %d; it must not be negative (0 = all cores)", f.threads)
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
	if l.text, err = loadText(f.model, f.template); err != nil {
		return l, err
	}
	if l.model, err = model.Open(f.model); err != nil {
		return l, err
	}
	l.text.reachable(w, l.model.Config)
	o := session.Options{Device: l.device, Model: l.model}
	if o.Dtype, err = l.device.Dtype(f.dtype); err != nil {
		return l, asUsage(err)
	}
	if !useAdapter || f.adapter == "" {
		if l.session, err = session.New(o); err != nil {
			return l, err
		}
		return l, l.session.Place()
	}
	a, err := openAdapter(f.adapter)
	if err != nil {
		return l, err
	}
	err = l.text.fits(a)
	if err != nil && f.allowTemplateChange {
		fmt.Fprintln(w, "warning:", err)
		err = nil
	}
	if err != nil {
		err = usagef("%w; give the --template or --model it was trained with, or --allow-template-change", err)
	} else {
		err = errors.Join(warnBase(w, l.model, a), l.withAdapter(o, a))
	}
	return l, errors.Join(err, a.Close())
}

// fits says which of chat template and tokenizer an adapter was trained with another of: it would be spoken to in a
// language that it has not learned. An adapter that does not say fits.
func (t *text) fits(a *peft.Adapter) error {
	for _, x := range []struct{ what, key, here string }{{"chat template", "template_sha256", t.hash()}, {"tokenizer", "tokenizer_sha256", t.tok.SHA256()}} {
		if there := a.Metadata[x.key]; there != "" && there != x.here {
			return fmt.Errorf("adapter %s was trained with another %s (SHA-256 %.12s..., here %.12s...)", a.Dir, x.what, there, x.here)
		}
	}
	return nil
}

// warnBase says on w that an adapter was trained on other weights than the model's.
func warnBase(w io.Writer, m *model.Checkpoint, a *peft.Adapter) error {
	there := a.Metadata[baseFact]
	if there == "" {
		return nil
	}
	here, err := baseFingerprint(m)
	if err != nil || here == there {
		return err
	}
	_, err = fmt.Fprintf(w, "warning: adapter %s was trained on another base model than %s (fingerprint %.12s..., here %.12s...)\n", a.Dir, m.Dir, there, here)
	return err
}

func (l *loaded) withAdapter(o session.Options, a *peft.Adapter) error {
	linears, err := l.model.Config.Linears()
	if err != nil {
		return err
	}
	c := a.Config
	c.Dropout = 0 // nothing is dropped outside of training
	if o.Adapter, err = c.Adapter(linears); err != nil {
		return err
	}
	if l.session, err = session.New(o); err != nil {
		return err
	}
	if err := l.session.Place(); err != nil {
		return err
	}
	if err := a.Check(c, l.session.Params()); err != nil {
		return err
	}
	return loadAdapter(l.session, a)
}

// window is the longest text the model was made for.
func (l *loaded) window() int { return l.model.Config.MaxPositionEmbeddings }

func (l *loaded) close() error {
	var errs []error
	if l.session != nil {
		errs = append(errs, l.session.Close())
	}
	if l.model != nil {
		errs = append(errs, l.model.Close())
	}
	if l.device != nil {
		errs = append(errs, l.device.Close())
	}
	return errors.Join(errs...)
}
