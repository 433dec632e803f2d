package main

import (
	"errors"
	"fmt"
	"io/fs"

	"attune/engine/model"
	"attune/engine/nn"
	"attune/engine/peft"
	"attune/engine/session"
	"attune/kernels"
)

// openAdapter opens a PEFT adapter directory; one that is none is a wrong use.
func openAdapter(dir string) (*peft.Adapter, error) {
	a, err := peft.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = usagef("%s is no adapter directory: %w", dir, err)
	}
	return a, err
}

// loadAdapter puts an adapter's weights into a session that was built for it.
func loadAdapter(s *session.Session, a *peft.Adapter) error {
	return s.LoadAdapter(func(p nn.Param) ([]byte, error) {
		w, err := a.Weight(p.Name)
		if err != nil {
			return nil, err
		}
		return w.As(kernels.Float32)
	})
}

// checkStart holds what training starts from to this run, before any weights are loaded: the model, and the adapter of
// lora.init_from.
func (j *job) checkStart(s streams) error {
	cure := "set template or model to what it was trained with, or " + j.override()
	l, always := j.cfg.LoRA, func(string) bool { return true }
	if j.cfg.Method != "lora" || l.InitFrom == "" {
		if _, err := j.variables().asLearned(s.err, j.model, nil, always); err != nil {
			return err
		}
		return allowed(s.err, j.text.fits(j.model, nil), j.otherText, cure)
	}
	a, err := openAdapter(l.InitFrom)
	if err != nil {
		return err
	}
	mismatch := errors.Join(j.text.fits(j.model, a), fitsBase(j.model, a))
	if mismatch != nil {
		mismatch = fmt.Errorf("lora.init_from: %w", mismatch)
	}
	err = allowed(s.err, mismatch, j.otherText, cure)
	if err == nil {
		_, err = j.variables().asLearned(s.err, j.model, a, always)
	}
	if err == nil {
		err = asUsage(a.Check(j.lora, j.session.Params()))
	}
	return errors.Join(err, a.Close())
}

// override is what lets a run go on from what was trained with another template.
func (j *job) override() string {
	if j.cfg.Method != "lora" {
		return "--allow-template-change"
	}
	return "--allow-template-change (lora.allow_template_change: true in the run file)"
}

// fitsBase says that an adapter was trained on other weights than the model's. An adapter that does not say fits.
func fitsBase(m *model.Checkpoint, a *peft.Adapter) error {
	there := a.Metadata[baseFact]
	if there == "" {
		return nil
	}
	here, err := baseFingerprint(m)
	if err != nil || here == there {
		return err
	}
	return fmt.Errorf("adapter %s was trained on another base model than %s (fingerprint %.12s..., here %.12s...)", a.Dir, m.Dir, there, here)
}

// startAdapter gives a new adapter its first values, or takes those of lora.init_from.
func (j *job) startAdapter() error {
	if j.cfg.Method != "lora" {
		return nil
	}
	if j.cfg.LoRA.InitFrom == "" {
		return j.session.LoadAdapter(func(p nn.Param) ([]byte, error) {
			v := make([]float32, p.Shape[0]*p.Shape[1])
			peft.Init(p, uint64(j.cfg.Train.Seed), v)
			return session.Float32Bytes(v), nil
		})
	}
	a, err := openAdapter(j.cfg.LoRA.InitFrom)
	if err != nil {
		return err
	}
	return errors.Join(loadAdapter(j.session, a), a.Close())
}
