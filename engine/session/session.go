// Package session is one model on one device: its weights bound once, a program for each purpose and row length made when
// it is first needed, all in one arena. Training, evaluation and generation are written on top of it.
package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"attune/data"
	"attune/engine/exec"
	"attune/engine/model"
	"attune/engine/nn"
	"attune/kernels"
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
	// NoInPlace gives every result memory of its own: exec.Options has it, for the laws (engine/lawtest).
	NoInPlace bool
}

// Session holds weights and programs. It is used by one goroutine at a time.
type Session struct {
	o        Options
	limit    int64
	params   []nn.Param              // weights in the graph's order
	values   map[string]exec.Operand // by name
	grads    map[string]exec.Operand // of trained weights, bound by BindGradients
	owned    []exec.Buffer           // memory of weights that are not wrapped where they lie
	programs map[key]*program
	arena    exec.Buffer
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

// Accumulate adds the gradients of a batch to those of the step and gives the batch's share of the step's loss. When ctx is
// done it stops between two kernels, with ctx's error and the gradients part added.
func (s *Session) Accumulate(ctx context.Context, b data.Batch) (float64, error) {
	return s.run(ctx, training, b)
}

// Loss is Σ weights·nll of a batch. When ctx is done it stops between two kernels, with ctx's error.
func (s *Session) Loss(ctx context.Context, b data.Batch) (float64, error) {
	return s.run(ctx, judging, b)
}

func (s *Session) run(ctx context.Context, why purpose, b data.Batch) (float64, error) {
	p, err := s.get(key{purpose: why, tokens: b.Tokens})
	if err != nil {
		return 0, err
	}
	if err := s.upload(p, b); err != nil {
		return 0, err
	}
	if err := p.runner.Run(ctx); err != nil {
		return 0, err
	}
	raw, err := exec.Download(s.o.Device, p.runner.Output(0))
	if err != nil {
		return 0, err
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))), nil
}

// upload gives a program the rows of a batch.
func (s *Session) upload(p *program, b data.Batch) error {
	for name, values := range map[string][]int32{nn.IDs: b.IDs, nn.Positions: b.Positions, nn.Segments: b.Segments, nn.Targets: b.Targets, nn.Keys: b.Keys} {
		if o, ok := p.inputs[name]; ok {
			if err := exec.Upload(s.o.Device, o, int32Bytes(values)); err != nil {
				return fmt.Errorf("upload %s: %w", name, err)
			}
		}
	}
	if err := exec.Upload(s.o.Device, p.inputs[nn.Weights], Float32Bytes(b.Weights)); err != nil {
		return fmt.Errorf("upload weights: %w", err)
	}
	return nil
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

// Close frees everything the session allocated; the device and the model stay open.
func (s *Session) Close() error {
	var errs []error
	for _, p := range s.programs {
		errs = append(errs, p.close())
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
