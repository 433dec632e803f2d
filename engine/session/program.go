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

// program is a compiled graph with the buffers of its inputs.
type program struct {
	*exec.Program
	runner *exec.Runner
	inputs map[string]exec.Operand
	owned  []exec.Buffer // inputs that are this program's alone
}

// graph builds what purpose needs for rows of so many tokens, and its outputs. Nothing is dropped but in training.
func (s *Session) graph(p purpose, tokens, cache int) (*nn.Builder, G.Nodes, error) {
	o := nn.Options{Tokens: tokens, CacheLen: cache, Adapter: s.o.Adapter, Trained: s.o.Trained}
	if p != training && o.Adapter != nil {
		o.Adapter = undropped(o.Adapter)
	}
	b := nn.NewBuilder(G.NewGraph(), o)
	var outputs G.Nodes
	if p == generating {
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

// compile makes the program of a key, without memory.
func (s *Session) compile(k key) (*program, error) {
	b, outputs, err := s.graph(k.purpose, k.tokens, k.cache())
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
		o.Recompute = exec.Recompute{Layers: s.o.Layers, Auto: s.o.Auto, Limit: s.limit}
	}
	p, err := exec.Compile(outputs, o)
	if err != nil {
		return nil, err
	}
	return &program{Program: p}, nil
}

func gradName(param string) string { return param + ".grad" }

// Plan is what training on rows of so many tokens takes, without allocating it. Its arena is large enough for rows of
// judged tokens that are not trained on, too; 0 = there are none.
func (s *Session) Plan(trained, judged int) (exec.Plan, error) {
	p, err := s.compile(key{purpose: training, tokens: trained})
	if err != nil {
		return exec.Plan{}, err
	}
	plan := p.Program.Plan()
	if judged > 0 {
		if p, err = s.compile(key{purpose: judging, tokens: judged}); err != nil {
			return exec.Plan{}, err
		}
		plan.Arena = max(plan.Arena, p.Program.Plan().Arena)
	}
	return plan, nil
}

// Reserve allocates the arena of a plan before anything runs, so that memory cannot run out later.
func (s *Session) Reserve(p exec.Plan) error { return s.reserve(max(p.Arena, exec.Align)) }

// reserve grows the arena to size bytes.
func (s *Session) reserve(size int64) error {
	if s.arena != nil {
		if s.arena.Bytes() >= size {
			return nil
		}
		for _, p := range s.programs { // their runners hold the old arena
			if err := p.close(); err != nil {
				return err
			}
		}
		clear(s.programs)
		if err := s.arena.Free(); err != nil {
			return err
		}
		s.arena = nil
	}
	buf, err := s.o.Device.Alloc(size)
	if err != nil {
		return fmt.Errorf("allocate the arena: %w", err)
	}
	s.arena = buf
	return nil
}

// get is the program of a key, ready to run.
func (s *Session) get(k key) (*program, error) {
	if p, ok := s.programs[k]; ok {
		return p, nil
	}
	p, err := s.compile(k)
	if err != nil {
		return nil, err
	}
	if err := s.reserve(p.Program.Plan().Arena); err != nil {
		return nil, err
	}
	if err := s.bind(p, k); err != nil {
		return nil, errors.Join(err, p.close())
	}
	s.programs[k] = p
	return p, nil
}

// bind gives a program its memory.
func (s *Session) bind(p *program, k key) (err error) {
	if p.runner, err = exec.NewRunner(s.o.Device, p.Program, s.arena); err != nil {
		return err
	}
	p.inputs = map[string]exec.Operand{}
	for _, in := range p.Program.Inputs() {
		o, err := s.input(p, k, in)
		if err != nil {
			return err
		}
		p.inputs[in.Name] = o
		if err := p.runner.Bind(in.Name, o); err != nil {
			return err
		}
	}
	return nil
}

// input finds the memory of a program's input: a weight's, a gradient's, the cache's, or some of its own.
func (s *Session) input(p *program, k key, in exec.Input) (exec.Operand, error) {
	if o, ok := s.values[in.Name]; ok {
		return o, nil
	}
	if o, ok := s.grads[in.Name]; ok {
		return o, nil
	}
	if k.decoder != nil {
		if o, ok := k.decoder.cache[in.Name]; ok {
			return o, nil
		}
	}
	if in.Written {
		return exec.Operand{}, fmt.Errorf("no gradient buffer for %s", in.Name)
	}
	buf, err := s.o.Device.Alloc(in.Bytes())
	if err != nil {
		return exec.Operand{}, fmt.Errorf("place %s: %w", in.Name, err)
	}
	p.owned = append(p.owned, buf)
	return exec.Operand{Buf: buf, Dtype: in.Dtype, Shape: in.Shape}, nil
}

// close frees what is the program's alone.
func (p *program) close() error {
	var errs []error
	if p.runner != nil {
		errs = append(errs, p.runner.Close())
	}
	for _, b := range p.owned {
		errs = append(errs, b.Free())
	}
	p.runner, p.owned = nil, nil
	return errors.Join(errs...)
}
