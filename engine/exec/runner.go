package exec

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Runner takes one program through one backend. It is used by one goroutine at a time.
type Runner struct {
	// CheckFinite downloads every output after its step and stops at the first NaN or infinity with a NonFiniteError.
	// It is slow, and for finding out where a loss went wrong.
	CheckFinite bool
	// Observe, if set, is told of every step and its wall time; each step is waited for, so that times are its own.
	Observe func(Step, time.Duration)
	// Recordings keeps what is run again recorded, where it says so and the backend can; nil = nothing is. Runs with
	// CheckFinite or Observe launch every step themselves.
	Recordings *Recordings

	backend  Backend
	program  *Program
	arena    Buffer
	consts   []Buffer
	bound    []Operand
	launches []Launch // nil until the first run after a Bind
	recorded recorded
	poisons  bool // fills dead memory; set in builds with the tag invariants
}

// NewArena allocates one arena in which each of the programs fits. Their runners share it and take turns: outputs hold
// until the next run of any.
func NewArena(b Backend, programs ...*Program) (Buffer, error) {
	size := int64(Align)
	for _, p := range programs {
		size = max(size, p.plan.Arena)
	}
	buf, err := b.Alloc(size)
	if err != nil {
		return nil, fmt.Errorf("allocate the arena: %w", err)
	}
	return buf, nil
}

// NewRunner prepares runs of p with its values in arena (see NewArena).
func NewRunner(b Backend, p *Program, arena Buffer) (*Runner, error) {
	if arena.Bytes() < p.plan.Arena {
		return nil, fmt.Errorf("an arena of %d bytes for a program that takes %d; make it with NewArena", arena.Bytes(), p.plan.Arena)
	}
	r := &Runner{backend: b, program: p, arena: arena, bound: make([]Operand, len(p.inputs)), poisons: invariants}
	for _, data := range p.consts {
		buf, err := b.Alloc(int64(len(data)))
		if err == nil {
			r.consts = append(r.consts, buf)
			err = b.Upload(buf, 0, data)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("upload the program's constants: %w", err), r.Close())
		}
	}
	return r, nil
}

// Program is what is run.
func (r *Runner) Program() *Program { return r.program }

// Bind says where input name lies. It is read (or, if Written, changed) at each run until bound anew. The operand must
// have the dtype and shape the program was compiled for.
func (r *Runner) Bind(name string, o Operand) error {
	for i, in := range r.program.inputs {
		if in.Name != name {
			continue
		}
		switch {
		case o.Buf == nil:
			return fmt.Errorf("bind %s: no buffer", name)
		case !same(o.Type(), in.Type):
			return fmt.Errorf("bind %s: %v where the program has %v", name, o.Type(), in.Type)
		case o.Off < 0 || o.Off > o.Buf.Bytes()-o.Bytes():
			return fmt.Errorf("bind %s: bytes %d to %d of a buffer of %d", name, o.Off, o.Off+o.Bytes(), o.Buf.Bytes())
		}
		r.bound[i], r.launches = o, nil
		return r.forget()
	}
	return fmt.Errorf("bind %s: the program has no such input", name)
}

func same(a, b Type) bool {
	if a.Dtype != b.Dtype || len(a.Shape) != len(b.Shape) {
		return false
	}
	for i := range a.Shape {
		if a.Shape[i] != b.Shape[i] {
			return false
		}
	}
	return true
}

// Run takes every step in order and waits for the last. Between steps it looks at ctx and stops with its error; buffers
// that are accumulated into are then part changed.
func (r *Runner) Run(ctx context.Context) error {
	err := r.Queue(ctx)
	if err != nil && ctx.Err() == nil {
		return err
	}
	if waited := r.backend.Sync(); waited != nil {
		err = errors.Join(err, fmt.Errorf("run: %w", waited))
	}
	return err
}

// Queue is Run without waiting: what follows on the backend follows the last step, and Sync or Download gives its errors.
// Where the run is recorded, it looks at ctx before the first step only.
func (r *Runner) Queue(ctx context.Context) error {
	if err := errors.Join(r.prepare(), ctx.Err()); err != nil {
		return err
	}
	if r.poisons {
		if err := r.poison(0, r.program.plan.Arena); err != nil {
			return err
		}
	}
	if r.Observe == nil && !r.CheckFinite {
		if queued, err := r.replay(); queued || err != nil {
			return err
		}
	}
	for i := range r.launches {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.step(i); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) step(i int) error {
	s := &r.program.steps[i]
	start := time.Now()
	if err := r.backend.Launch(r.launches[i]); err != nil {
		return fmt.Errorf("run %v: %w", s.Step, err)
	}
	if r.Observe != nil {
		if err := r.backend.Sync(); err != nil {
			return fmt.Errorf("run %v: %w", s.Step, err)
		}
		r.Observe(s.Step, time.Since(start))
	}
	if r.CheckFinite {
		if err := r.checkFinite(i); err != nil {
			return err
		}
	}
	if r.poisons {
		return r.poisonDead(i)
	}
	return nil
}

// prepare gives every step its operands. All inputs must be bound.
func (r *Runner) prepare() error {
	if r.launches != nil {
		return nil
	}
	var missing []string
	for i, in := range r.program.inputs {
		if r.bound[i].Buf == nil {
			missing = append(missing, in.Name)
		}
	}
	if missing != nil {
		return fmt.Errorf("run: inputs not bound: %q", missing)
	}
	launches := make([]Launch, len(r.program.steps))
	for i, s := range r.program.steps {
		l := Launch{Kernel: s.Kernel, In: make([]Operand, len(s.in)), Out: make([]Operand, len(s.out))}
		for j, v := range s.in {
			l.In[j] = r.operand(v)
		}
		for j, v := range s.out {
			if v != unwanted {
				l.Out[j] = r.operand(v)
			}
		}
		if s.scratch > 0 {
			l.Scratch = Region{Buf: r.arena, Off: s.place, Len: s.scratch}
		}
		launches[i] = l
	}
	r.launches = launches
	return nil
}

func (r *Runner) operand(v int) Operand {
	x := r.program.values[v]
	switch x.kind {
	case isInput:
		return r.bound[x.index]
	case isConst:
		return Operand{Buf: r.consts[x.index], Dtype: x.Dtype, Shape: x.Shape}
	}
	return Operand{Buf: r.arena, Off: r.program.at[v], Dtype: x.Dtype, Shape: x.Shape}
}

// Output is output i, in the order Compile was given. It holds from one run to the next of any program in the arena.
func (r *Runner) Output(i int) Operand { return r.operand(r.program.outputs[i]) }

// Close frees the program's constants and what is recorded of it. The arena and what was bound are their owners'.
func (r *Runner) Close() error {
	err := r.forget()
	for _, b := range r.consts {
		err = errors.Join(err, b.Free())
	}
	r.consts = nil
	return err
}
