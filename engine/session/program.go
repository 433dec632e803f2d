package session

import (
	"errors"
	"fmt"

	"attune/engine/exec"
	"attune/engine/nn"
	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// key is what a program was compiled for.
type key struct {
	purpose purpose
	tokens  int
	learnt  int      // nn.Options.Learnt
	decoder *Decoder // whose cache it is bound to, where purpose is generating
}

// cache is the length of the key/value cache, 0 where there is none.
func (k key) cache() int {
	if k.decoder == nil {
		return 0
	}
	return k.decoder.rows
}

type purpose uint8

const (
	training purpose = iota
	judging
	generating
)

// program is a compiled graph with the memory of its inputs.
type program struct {
	*exec.Program
	tokens int
	runner *exec.Runner
	inputs map[string]exec.Operand
}

// graph builds what a key's purpose needs, and its outputs. Nothing is dropped but in training.
func (s *Session) graph(k key) (*nn.Builder, G.Nodes, error) {
	o := nn.Options{Tokens: k.tokens, Learnt: k.learnt, CacheLen: k.cache(), Adapter: s.o.Adapter, Trained: s.o.Trained}
	if k.purpose != training && o.Adapter != nil {
		o.Adapter = undropped(o.Adapter)
	}
	b := nn.NewBuilder(G.NewGraph(), o)
	var outputs G.Nodes
	if k.purpose == generating {
		outputs = G.Nodes{s.o.Model.Config.Logits(b)}
	} else {
		loss, _ := s.o.Model.Config.Train(b)
		outputs = G.Nodes{loss}
	}
	if err := b.Err(); err != nil {
		return nil, nil, err
	}
	return b, outputs, nil
}

// undropped is an adapter without dropout.
func undropped(adapter func(path string, in, out int) *nn.LoRA) func(path string, in, out int) *nn.LoRA {
	return func(path string, in, out int) *nn.LoRA {
		a := adapter(path, in, out)
		if a == nil || a.Dropout == 0 {
			return a
		}
		whole := *a
		whole.Dropout = 0
		return &whole
	}
}

// compile makes the program of a key, without memory. Once memory is reserved a program fits that, whatever else would be
// free: the run takes what was said before its first step. Only where one cannot, it takes more.
func (s *Session) compile(k key) (*program, error) {
	if s.reserved > 0 {
		p, err := s.compileWithin(k, min(s.limit, s.reserved))
		if !errors.Is(err, exec.ErrMemory) {
			return p, err
		}
	}
	return s.compileWithin(k, s.limit)
}

func (s *Session) compileWithin(k key, limit int64) (*program, error) {
	b, outputs, err := s.graph(k)
	if err != nil {
		return nil, err
	}
	o := exec.Options{Activations: s.o.Dtype, Storage: map[string]kernels.Dtype{}, Layers: b.LayerStarts(), Scratch: s.o.Device.Scratch,
		NoInPlace: s.o.NoInPlace}
	for _, p := range b.Params() {
		o.Storage[p.Name] = s.Storage(p)
	}
	for _, in := range b.Inputs() {
		if in.Cache {
			o.Storage[in.Name] = s.o.Dtype
		}
	}
	if k.purpose == training {
		grads, err := op.Backward(outputs[0], b.Trained())
		if err != nil {
			return nil, err
		}
		i := 0
		for _, p := range b.Params() {
			if p.Trained {
				o.Accumulate = append(o.Accumulate, exec.Accumulation{Grad: grads[i], Into: gradName(p.Name)})
				i++
			}
		}
		o.Recompute = exec.Recompute{Layers: s.o.Layers, Auto: s.o.Auto, Limit: limit}
	}
	p, err := exec.Compile(outputs, o)
	if err != nil {
		return nil, err
	}
	return &program{Program: p, tokens: k.tokens}, nil
}

func gradName(param string) string { return param + ".grad" }

// get is the program of a key, ready to run.
func (s *Session) get(k key) (*program, error) {
	if p, ok := s.programs[k]; ok {
		return p, nil
	}
	p, err := s.compile(k)
	if err != nil {
		return nil, err
	}
	if err := s.reserve(p.Program.Plan().Arena, inputBytes(p.Program)); err != nil {
		return nil, err
	}
	if err := s.bind(p, k); err != nil {
		return nil, errors.Join(err, p.close())
	}
	s.programs[k] = p
	return p, nil
}

// bind gives a program its memory: that of a weight, a gradient or the cache, and for what is uploaded for each run the place
// that all programs share, since they take turns.
func (s *Session) bind(p *program, k key) (err error) {
	if p.runner, err = exec.NewRunner(s.o.Device, p.Program, s.arena); err != nil {
		return err
	}
	p.runner.Recordings = s.recordings
	p.inputs = map[string]exec.Operand{}
	var at int64
	for _, in := range p.Program.Inputs() {
		o, ok := s.placed(k, in.Name)
		switch {
		case ok:
		case in.Written:
			return fmt.Errorf("no gradient buffer for %s", in.Name)
		default:
			o = exec.Operand{Buf: s.uploads, Off: at, Dtype: in.Dtype, Shape: in.Shape}
			at += aligned(in.Bytes())
		}
		p.inputs[in.Name] = o
		if err := p.runner.Bind(in.Name, o); err != nil {
			return err
		}
	}
	return nil
}

// placed is where an input lies that is the same in every run.
func (s *Session) placed(k key, name string) (o exec.Operand, ok bool) {
	if o, ok = s.values[name]; ok {
		return o, true
	}
	if o, ok = s.grads[name]; ok {
		return o, true
	}
	if k.decoder != nil {
		o, ok = k.decoder.cache[name]
	}
	return o, ok
}

// close frees what is the program's alone.
func (p *program) close() error {
	if p.runner == nil {
		return nil
	}
	err := p.runner.Close()
	p.runner = nil
	return err
}
