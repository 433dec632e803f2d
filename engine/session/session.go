// Package session is one model on one device: its weights bound once, a program for each purpose and row length made when
// it is first needed, all in one arena. Training, evaluation and generation are written on top of it.
package session

import (
	"encoding/binary"
	"errors"
	"math"

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

	arena      exec.Buffer
	uploads    exec.Buffer // inputs of the program that runs
	reserved   int64       // of the arena, by Reserve
	losses     losses
	recordings *exec.Recordings
	longest    map[purpose]int // tokens of a row, by SetLengths
}

// New builds the model's graph once, to know its weights. Nothing is on the device until Place; Plan needs no more.
func New(o Options) (*Session, error) {
	s := &Session{o: o, values: map[string]exec.Operand{}, grads: map[string]exec.Operand{}, programs: map[key]*program{},
		recordings: exec.NewRecordings(o.Device, recordings, math.MaxInt64)}
	b, _, err := s.graph(key{purpose: judging, tokens: 1})
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

// ReadInto copies the bytes of an operand to dst, which is as long. Where Reaches, several goroutines may call it.
func (s *Session) ReadInto(dst []byte, o exec.Operand) error {
	if s.Reaches() {
		copy(dst, s.o.Device.Bytes(o))
		return nil
	}
	return s.o.Device.Download(dst, o.Buf, o.Off)
}

// Reaches is whether the device's memory is the host's: Read then copies nothing.
func (s *Session) Reaches() bool { return s.o.Device.Bytes != nil }

// Close frees everything the session allocated; the device and the model stay open.
func (s *Session) Close() error {
	var errs []error
	for _, p := range s.programs {
		errs = append(errs, p.close())
	}
	for _, b := range append(s.owned, s.arena, s.uploads, s.losses.buf) {
		if b != nil {
			errs = append(errs, b.Free())
		}
	}
	s.programs, s.arena, s.uploads, s.losses, s.owned = nil, nil, nil, losses{}, nil
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
