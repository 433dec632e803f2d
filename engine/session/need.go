package session

import (
	"fmt"
	"slices"

	"attune/engine/exec"
	"attune/engine/nn"
)

// Plan is what a use of the session takes of the device beside its weights, in bytes, without taking it.
type Plan struct {
	exec.Plan          // of the longest rows that are trained on; Arena is enough for all
	Inputs     int64   // what is uploaded for a row
	Losses     int64   // those of a step's rows
	Cache      []int64 // each buffer of a decoder's key/value cache
	Recordings int64   // of programs, on a device with memory of its own: an estimate, which is kept to
}

// Buffers are the bytes of each buffer of the plan.
func (p Plan) Buffers() []int64 { return append([]int64{p.Arena, p.Inputs, p.Losses}, p.Cache...) }

// Join is what two uses take that take turns.
func (p Plan) Join(q Plan) Plan {
	p.Arena, p.Inputs, p.Losses, p.Recordings = max(p.Arena, q.Arena), max(p.Inputs, q.Inputs), max(p.Losses, q.Losses), max(p.Recordings, q.Recordings)
	p.Cache = append(slices.Clone(p.Cache), q.Cache...)
	return p
}

// Buffers are the bytes of each weight on the device; one that is read where its file is mapped is among them.
func (s *Session) Buffers() (sizes []int64) {
	for _, p := range s.params {
		sizes = append(sizes, exec.Type{Dtype: s.Storage(p), Shape: p.Shape}.Bytes())
	}
	return sizes
}

// Plan is what training on rows of up to so many tokens takes, and judging rows of up to so many that are not trained on; 0 =
// there are none.
func (s *Session) Plan(trained, judged int) (Plan, error) {
	plan, err := s.plan(key{purpose: training, tokens: trained})
	if err != nil || judged == 0 {
		return plan, err
	}
	j, err := s.plan(key{purpose: judging, tokens: judged})
	return plan.Join(j), err
}

// JudgingPlan is what Loss takes for rows of up to so many tokens.
func (s *Session) JudgingPlan(tokens int) (Plan, error) {
	return s.plan(key{purpose: judging, tokens: tokens})
}

// DecoderPlan is what a decoder of so many rows takes for prompts of up to so many tokens.
func (s *Session) DecoderPlan(rows, prompt int) (Plan, error) {
	var plan Plan
	d := &Decoder{s: s, rows: rows}
	for _, tokens := range []int{1, padded(min(prompt, prefill))} {
		p, err := s.plan(key{purpose: generating, tokens: tokens, decoder: d})
		if err != nil {
			return plan, fmt.Errorf("plan %d tokens of a text: %w", tokens, err)
		}
		plan = plan.Join(p)
	}
	caches, err := s.caches(d)
	for _, o := range caches {
		plan.Cache = append(plan.Cache, o.Bytes())
	}
	return plan, err
}

func (s *Session) plan(k key) (Plan, error) {
	p, err := s.compile(k)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Plan: p.Program.Plan(), Inputs: inputBytes(p.Program)}
	if k.purpose == training {
		plan.Losses = lossBytes(s.o.Device)
	}
	if s.o.Device.Discrete {
		plan.Recordings = recordings * int64(plan.Steps) * recordedStep
	}
	return plan, nil
}

// What is kept recorded, of all programs of a session.
const (
	recordings   = 16      // at most
	recordedStep = 8 << 10 // bytes of a step of one: some two launches of 4 KiB
)

// inputBytes is what a program's runs have uploaded.
func inputBytes(p *exec.Program) (bytes int64) {
	for _, in := range p.Inputs() {
		if slices.Contains(uploaded(), in.Name) {
			bytes += aligned(in.Bytes())
		}
	}
	return bytes
}

// uploaded are the inputs that are others in every run.
func uploaded() []string {
	return []string{nn.IDs, nn.Positions, nn.Segments, nn.Targets, nn.Weights, nn.Keys, nn.Rows}
}

func aligned(n int64) int64 { return (n + exec.Align - 1) / exec.Align * exec.Align }

// Reserve allocates what a plan needs before anything runs, so that memory cannot run out later.
func (s *Session) Reserve(p Plan) error {
	s.recordings.SetBytes(p.Recordings)
	if err := s.reserve(p.Arena, p.Inputs); err != nil {
		return err
	}
	s.reserved = s.arena.Bytes()
	if p.Losses > 0 {
		return s.losses.open(s.o.Device)
	}
	return nil
}

// reserve grows the arena and the memory of inputs to so many bytes.
func (s *Session) reserve(arena, inputs int64) error {
	arena, inputs = max(arena, exec.Align), max(inputs, exec.Align)
	holds := func(b exec.Buffer, n int64) bool { return b != nil && b.Bytes() >= n }
	if holds(s.arena, arena) && holds(s.uploads, inputs) {
		return nil
	}
	for _, p := range s.programs { // their runners hold the old memory
		if err := p.close(); err != nil {
			return err
		}
	}
	clear(s.programs)
	for _, x := range []struct {
		buf  *exec.Buffer
		size int64
		what string
	}{{&s.arena, arena, "arena"}, {&s.uploads, inputs, "memory of inputs"}} {
		if holds(*x.buf, x.size) {
			continue
		}
		if *x.buf != nil {
			if err := (*x.buf).Free(); err != nil {
				return err
			}
			*x.buf = nil
		}
		buf, err := s.o.Device.Alloc(x.size)
		if err != nil {
			return fmt.Errorf("allocate the %s: %w", x.what, err)
		}
		*x.buf = buf
	}
	return nil
}

// caches are the key/value caches of a decoder by name, without memory.
func (s *Session) caches(d *Decoder) (map[string]exec.Operand, error) {
	b, _, err := s.graph(key{purpose: generating, tokens: 1, decoder: d})
	if err != nil {
		return nil, err
	}
	caches := map[string]exec.Operand{}
	for _, in := range b.Inputs() {
		if in.Cache {
			caches[in.Name] = exec.Operand{Dtype: s.o.Dtype, Shape: in.Shape}
		}
	}
	return caches, nil
}

// padded is the length of the program that computes so many tokens at once: one of a few.
func padded(tokens int) int {
	t := 1
	for t < tokens {
		t *= 2
	}
	return t
}
