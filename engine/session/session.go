// Package session is one model on one device: its weights bound once, a program for each purpose and row length made when
// it is first needed, all in one arena. Training, evaluation and generation are written on top of it.
package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"

	"attune/data"
	"attune/engine/exec"
	"attune/engine/model"
	"attune/engine/nn"
	"attune/engine/op"
	"attune/internal/safetensors"
	"attune/kernels"

	"golang.org/x/sync/errgroup"
	G "gorgonia.org/gorgonia"
)

// Options say what is put on the device.
type Options struct {
	Device  *Device
	Model   *model.Checkpoint
	Dtype   kernels.Dtype                           // of frozen weights and activations; trained weights are float32
	Adapter func(path string, in, out int) *nn.LoRA // nil = none
	Trained func(name string) bool                  // base weights that are trained; nil = none
	Layers  int                                     // layers recomputed at least; more where SetLimit asks for it
	Auto    bool                                    // recompute as little as fits SetLimit, rather than Layers exactly
}

// Session holds weights and programs. It is used by one goroutine at a time.
type Session struct {
	o        Options
	limit    int64
	params   []nn.Param              // weights in the graph's order
	values   map[string]exec.Operand // by name
	grads    map[string]exec.Operand // of trained weights, bound by BindGradients
	owned    []exec.Buffer
	programs map[key]*program
	arena    exec.Buffer
}

// key is what a program was compiled for.
type key struct {
	purpose purpose
	tokens  int
	cache   int
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
}

// New builds the model's graph once, to know its weights. Nothing is on the device until Place; Plan needs no more.
func New(o Options) (*Session, error) {
	s := &Session{o: o, values: map[string]exec.Operand{}, grads: map[string]exec.Operand{}, programs: map[key]*program{}}
	b, _, err := s.graph(judging, 1, 0)
	if err != nil {
		return nil, err
	}
	s.params = b.Params()
	return s, nil
}

// Place binds the model's weights to the device: mapped where they lie if they have the dtype wanted, converted
// otherwise. Adapters are zero until LoadTrained.
func (s *Session) Place() error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0)) // converting is bound by memory that is touched for the first time
	for _, p := range s.params {
		o, fill, err := s.place(p)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		s.values[p.Name] = o
		if fill != nil {
			g.Go(fill)
		}
	}
	return g.Wait()
}

// storage is the dtype of a weight on the device.
func (s *Session) storage(p nn.Param) kernels.Dtype {
	if p.Trained || p.Kind == nn.Adapter {
		return kernels.Float32
	}
	return s.o.Dtype
}

// place gives one weight its memory, and what is left to be done for its value.
func (s *Session) place(p nn.Param) (o exec.Operand, fill func() error, err error) {
	o = exec.Operand{Dtype: s.storage(p), Shape: p.Shape}
	var w model.Weight
	if p.Kind == nn.Base {
		if w, err = s.o.Model.Weight(p.Name); err != nil {
			return o, nil, err
		}
		if w.Dtype == o.Dtype && !p.Trained && s.o.Device.Wrap != nil {
			o.Buf = s.o.Device.Wrap(w.Data, o.Dtype)
			return o, nil, nil
		}
	}
	if o.Buf, err = s.o.Device.Alloc(o.Bytes()); err != nil {
		return o, nil, fmt.Errorf("place %s: %w", p.Name, err)
	}
	s.owned = append(s.owned, o.Buf)
	switch {
	case p.Kind == nn.Adapter:
		return o, nil, nil
	case s.o.Device.Bytes != nil:
		return o, func() error {
			defer s.o.Model.Release(p.Name)
			return w.Convert(o.Dtype, s.o.Device.Bytes(o))
		}, nil
	}
	return o, func() error {
		defer s.o.Model.Release(p.Name)
		raw, err := w.As(o.Dtype)
		if err != nil {
			return err
		}
		return exec.Upload(s.o.Device, o, raw)
	}, nil
}

// graph builds what purpose needs for rows of so many tokens, and its outputs.
func (s *Session) graph(p purpose, tokens, cache int) (*nn.Builder, G.Nodes, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{Tokens: tokens, CacheLen: cache, Adapter: s.o.Adapter, Trained: s.o.Trained})
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

// Classes of the plan's inputs.
const (
	ClassWeights = "weights"
	ClassTrained = "trained weights"
	ClassGrads   = "gradients"
	ClassBatch   = "batch"
)

// compile makes the program of a key, without memory.
func (s *Session) compile(k key) (*program, error) {
	b, outputs, err := s.graph(k.purpose, k.tokens, k.cache)
	if err != nil {
		return nil, err
	}
	o := exec.Options{Activations: s.o.Dtype, Storage: map[string]kernels.Dtype{}, Layers: b.LayerStarts(), Scratch: s.o.Device.Scratch}
	class := map[string]string{}
	for _, p := range b.Params() {
		o.Storage[p.Name], class[p.Name] = s.storage(p), ClassWeights
		if p.Trained || p.Kind == nn.Adapter {
			class[p.Name] = ClassTrained
		}
	}
	for _, in := range b.Inputs() {
		class[in.Name] = ClassBatch
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
				into := gradName(p.Name)
				o.Accumulate = append(o.Accumulate, exec.Accumulation{Grad: grads[i], Into: into})
				class[into] = ClassGrads
				i++
			}
		}
		o.Recompute = exec.Recompute{Layers: s.o.Layers, Auto: s.o.Auto, Limit: s.limit}
	}
	o.Class = func(name string) string { return class[name] }
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
			if err := s.closeProgram(p); err != nil {
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
func (s *Session) get(k key) (*program, error) { return s.getWith(k, nil) }

// getWith binds inputs that are in given to what stands there.
func (s *Session) getWith(k key, given map[string]exec.Operand) (*program, error) {
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
	if p.runner, err = exec.NewRunner(s.o.Device, p.Program, s.arena); err != nil {
		return nil, err
	}
	p.inputs = map[string]exec.Operand{}
	for _, in := range p.Program.Inputs() {
		o, ok := given[in.Name]
		if !ok {
			if o, err = s.input(in); err != nil {
				return nil, err
			}
		}
		p.inputs[in.Name] = o
		if err := p.runner.Bind(in.Name, o); err != nil {
			return nil, err
		}
	}
	s.programs[k] = p
	return p, nil
}

// input finds or makes the memory of a program's input.
func (s *Session) input(in exec.Input) (exec.Operand, error) {
	if o, ok := s.values[in.Name]; ok {
		return o, nil
	}
	if o, ok := s.grads[in.Name]; ok {
		return o, nil
	}
	if in.Written {
		return exec.Operand{}, fmt.Errorf("no gradient buffer for %s", in.Name)
	}
	buf, err := s.o.Device.Alloc(in.Bytes())
	if err != nil {
		return exec.Operand{}, fmt.Errorf("place %s: %w", in.Name, err)
	}
	s.owned = append(s.owned, buf)
	return exec.Operand{Buf: buf, Dtype: in.Dtype, Shape: in.Shape}, nil
}

// SetLimit says how many bytes activations may take where Options.Auto is set.
func (s *Session) SetLimit(bytes int64) { s.limit = bytes }

// Params are the model's weights, adapters included, in the graph's order.
func (s *Session) Params() []nn.Param { return s.params }

// Value is where a weight lies.
func (s *Session) Value(name string) exec.Operand { return s.values[name] }

// BindGradients says where the gradients of trained weights are summed; needed before Accumulate.
func (s *Session) BindGradients(grad func(param string) (exec.Operand, error)) error {
	for _, p := range s.params {
		if p.Trained {
			o, err := grad(p.Name)
			if err != nil {
				return err
			}
			s.grads[gradName(p.Name)] = o
		}
	}
	return nil
}

// Accumulate adds the gradients of a batch to those of the step and gives the batch's share of the step's loss.
func (s *Session) Accumulate(b data.Batch) (float64, error) { return s.run(training, b) }

// Loss is Σ weights·nll of a batch.
func (s *Session) Loss(b data.Batch) (float64, error) { return s.run(judging, b) }

func (s *Session) run(why purpose, b data.Batch) (float64, error) {
	p, err := s.get(key{purpose: why, tokens: b.Tokens})
	if err != nil {
		return 0, err
	}
	for name, values := range map[string][]int32{nn.IDs: b.IDs, nn.Positions: b.Positions, nn.Segments: b.Segments, nn.Targets: b.Targets, nn.Keys: b.Keys} {
		if o, ok := p.inputs[name]; ok {
			if err := exec.Upload(s.o.Device, o, int32Bytes(values)); err != nil {
				return 0, fmt.Errorf("upload %s: %w", name, err)
			}
		}
	}
	if err := exec.Upload(s.o.Device, p.inputs[nn.Weights], Float32Bytes(b.Weights)); err != nil {
		return 0, fmt.Errorf("upload weights: %w", err)
	}
	if err := p.runner.Run(context.Background()); err != nil {
		return 0, err
	}
	raw, err := exec.Download(s.o.Device, p.runner.Output(0))
	if err != nil {
		return 0, err
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))), nil
}

// Read is the bytes of an operand: the device's memory itself where the host reaches it, valid until something is
// computed, and a copy elsewhere.
func (s *Session) Read(o exec.Operand) ([]byte, error) {
	if s.o.Device.Bytes != nil {
		if b := s.o.Device.Bytes(o); b != nil {
			return b, nil
		}
	}
	return exec.Download(s.o.Device, o)
}

// Trained is every trained weight, float32, for checkpoints and adapters; see Read for how long it is valid.
func (s *Session) Trained() ([]safetensors.Tensor, error) {
	var ts []safetensors.Tensor
	for _, p := range s.params {
		if !p.Trained {
			continue
		}
		raw, err := s.Read(s.values[p.Name])
		if err != nil {
			return nil, fmt.Errorf("download %s: %w", p.Name, err)
		}
		ts = append(ts, safetensors.Tensor{Name: p.Name, Dtype: "F32", Shape: p.Shape, Data: raw})
	}
	return ts, nil
}

// LoadTrained sets every trained weight; get gives the float32 bytes of one.
func (s *Session) LoadTrained(get func(name string, shape []int) ([]byte, error)) error {
	for _, p := range s.params {
		if !p.Trained {
			continue
		}
		raw, err := get(p.Name, p.Shape)
		if err != nil {
			return err
		}
		if err := exec.Upload(s.o.Device, s.values[p.Name], raw); err != nil {
			return fmt.Errorf("load %s: %w", p.Name, err)
		}
	}
	return nil
}

// LoadAdapter sets every adapter weight; get gives the values of one.
func (s *Session) LoadAdapter(get func(p nn.Param) ([]byte, error)) error {
	for _, p := range s.params {
		if p.Kind != nn.Adapter {
			continue
		}
		raw, err := get(p)
		if err != nil {
			return err
		}
		if err := exec.Upload(s.o.Device, s.values[p.Name], raw); err != nil {
			return fmt.Errorf("load %s: %w", p.Name, err)
		}
	}
	return nil
}

func (s *Session) closeProgram(p *program) error {
	if p.runner == nil {
		return nil
	}
	return p.runner.Close()
}

// Close frees everything the session allocated; the device and the model stay open.
func (s *Session) Close() error {
	var errs []error
	for _, p := range s.programs {
		errs = append(errs, s.closeProgram(p))
	}
	if s.arena != nil {
		errs = append(errs, s.arena.Free())
	}
	for _, b := range s.owned {
		errs = append(errs, b.Free())
	}
	s.programs, s.arena, s.owned = nil, nil, nil
	return errors.Join(errs...)
}

func int32Bytes(v []int32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}

// Float32Bytes is the little-endian form of v.
func Float32Bytes(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}
