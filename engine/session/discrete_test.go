package session_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"attune/data"
	"attune/data/pack"
	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/engine/nn"
	"attune/engine/optim"
	"attune/engine/session"
	"attune/engine/session/sessiontest"
	"attune/kernels"
)

// far is a session with an adapter on a device with memory of its own, placed, with gradients bound.
func far(t *testing.T) (*session.Session, *session.Device, *exectest.Discrete, *optim.AdamW) {
	t.Helper()
	device, b := sessiontest.Discrete(t, 2)
	s, adam := adapted(t, device)
	return s, device, b, adam
}

// adapted is a session with an adapter, placed, with gradients bound.
func adapted(t *testing.T, device *session.Device) (*session.Session, *optim.AdamW) {
	t.Helper()
	s, _ := opened(t, kernels.Float32, kernels.Float32, nil, func(o *session.Options) {
		o.Device = &session.Device{Backend: device.Backend, Wrap: device.Wrap, Bytes: device.Bytes, Discrete: device.Discrete, Footprint: device.Footprint, Lengths: device.Lengths, HostAlloc: device.HostAlloc}
		o.Adapter = func(string, int, int) *nn.LoRA { return &nn.LoRA{Rank: 2, Scale: 1} }
	})
	if err := s.Place(); err != nil {
		t.Fatal(err)
	}
	if err := s.LoadAdapter(func(p nn.Param) ([]byte, error) {
		v := make([]float32, p.Shape[0]*p.Shape[1])
		for k := range v {
			v[k] = float32(k%7-3) / 20
		}
		return session.Float32Bytes(v), nil
	}); err != nil {
		t.Fatal(err)
	}
	var params []optim.Param
	for _, p := range s.Params() {
		if p.Trained {
			params = append(params, optim.Param{Name: p.Name, Value: s.Value(p.Name)})
		}
	}
	adam, err := optim.NewAdamW(device, params, optim.Options{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8})
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, adam.Close)
	if err := s.BindGradients(adam.Grad); err != nil {
		t.Fatal(err)
	}
	return s, adam
}

// row is a packed row of one example, of which so many tokens are trained.
func row(tokens, trained int) data.Batch {
	e := data.Example{IDs: make([]int32, tokens), Weights: make([]float32, tokens)}
	for i := range e.IDs {
		e.IDs[i] = int32(60 + (7*i+tokens)%90)
	}
	for i := range trained {
		e.Weights[tokens-1-i] = 1
	}
	return pack.Pack([]data.Example{e}, tokens, pack.Options{})[0]
}

// Losses of rows that are queued are those of the rows alone, in order, however many there are. Few wait on the device: a step
// that is called off ends soon.
func TestLossesOfQueuedRows(t *testing.T) {
	s, _, b, _ := far(t)
	rows := []data.Batch{row(60, 40), row(100, 7), row(60, 59), row(130, 100)}
	var alone []float64
	for _, r := range rows {
		loss, err := s.Accumulate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, loss)
	}
	const many = 20 // more than are queued at once
	waits := b.Waits
	for i := range many {
		if err := s.Queue(t.Context(), rows[i%4]); err != nil {
			t.Fatal(err)
		}
	}
	losses, err := s.Losses()
	if err != nil || len(losses) != many || b.Waits != waits+3 {
		t.Fatalf("%d losses of %d rows, %d waits, %v", len(losses), many, b.Waits-waits, err)
	}
	for i, loss := range losses {
		if loss != alone[i%4] {
			t.Fatalf("row %d has the loss %v, alone %v", i, loss, alone[i%4])
		}
	}
	if more, err := s.Losses(); err != nil || len(more) != 0 {
		t.Errorf("%d losses are told twice (%v)", len(more), err)
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := s.Queue(ctx, rows[0]); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := s.Queue(ctx, rows[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	if more, err := s.Losses(); err != nil || len(more) != 0 {
		t.Errorf("%d losses of a step that was called off (%v)", len(more), err)
	}
}

// Rows of many lengths and numbers of trained tokens take few programs and at most sixteen recordings, in the memory that was
// planned, to the byte, and have the losses of the processor.
func TestManyRowsInPlannedMemory(t *testing.T) {
	s, device, b, _ := far(t)
	cpu, err := session.OpenDevice("cpu", 2)
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, cpu.Close)
	near, _ := adapted(t, cpu)
	const most = 512
	s.SetLengths(most, most)
	s.SetLimit(math.MaxInt64)
	plan, err := s.Plan(most, most)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reserve(plan); err != nil {
		t.Fatal(err)
	}
	taken := b.Allocated
	computed := map[int]bool{}
	for round := range 3 {
		for tokens := 128; tokens <= most; tokens += 128 {
			for _, trained := range []int{1, tokens / 3, tokens / 2, tokens - 10} {
				r := row(tokens, trained)
				computed[s.Computed(r.Tokens)] = true
				loss, err := s.Accumulate(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				judged, err := s.Loss(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				if round > 0 {
					continue
				}
				want, err := near.Accumulate(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(loss-want) > 1e-6*want || math.Abs(judged-want) > 1e-6*want {
					t.Errorf("%d tokens, %d trained: the loss is %v, judged %v, on the processor %v", tokens, trained, loss, judged, want)
				}
			}
		}
	}
	if len(computed) != 4 {
		t.Errorf("rows are computed at %d lengths", len(computed))
	}
	if b.MostAlive != 16 || b.Replayed == 0 {
		t.Errorf("%d recordings at a time, %d runs of them", b.MostAlive, b.Replayed)
	}
	if b.Peak != taken {
		t.Errorf("%d bytes were taken beside the %d that were reserved", b.Peak-taken, taken)
	}
	if need := device.Takes(append(s.Buffers(), plan.Buffers()...)); need >= taken {
		t.Errorf("weights and rows take %d bytes, with the optimizer it is %d", need, taken)
	}
}

// What a session and its optimizer are said to take is what is allocated, to the byte, before the first row.
func TestDeviceBytesAreWhatIsPlanned(t *testing.T) {
	s, device, b, _ := far(t)
	var shapes [][]int
	for _, p := range s.Params() {
		if p.Trained {
			shapes = append(shapes, p.Shape)
		}
	}
	s.SetLengths(256, 128)
	plan, err := s.Plan(256, 128)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reserve(plan); err != nil {
		t.Fatal(err)
	}
	want := device.Takes(slices.Concat(s.Buffers(), optim.Sizes(device.Scratch, shapes), plan.Buffers()))
	if b.Allocated != want {
		t.Errorf("%d bytes are allocated, planned are %d", b.Allocated, want)
	}
	for range 3 {
		if _, err := s.Accumulate(t.Context(), row(256, 200)); err != nil {
			t.Fatal(err)
		}
	}
	if b.Peak != want || b.Recordings == 0 || b.Recordings > plan.Recordings {
		t.Errorf("%d bytes at the peak, planned are %d; %d of recordings, planned %d", b.Peak, want, b.Recordings, plan.Recordings)
	}
}

// Memory that runs out is an error each time, whatever was allocated by then, and what comes after is as ever.
func TestOutOfMemoryAgain(t *testing.T) {
	s, _, b, _ := far(t)
	plan, err := s.Plan(64, 0)
	if err != nil {
		t.Fatal(err)
	}
	taken := b.Allocated
	for _, sizes := range [][]int64{{}, {plan.Arena}, {plan.Arena, plan.Inputs}} { // there is room for these, and not for the next
		b.Limit = taken + exectest.Footprint(sizes)
		for range 2 {
			if _, err := s.Accumulate(t.Context(), row(64, 20)); !errors.Is(err, exec.ErrMemory) {
				t.Fatalf("room for %d buffers: %v", len(sizes), err)
			}
		}
	}
	b.Limit = 0
	if _, err := s.Accumulate(t.Context(), row(64, 20)); err != nil {
		t.Error(err)
	}
}

// A text there has the logits of the processor, one token at a time from a recording; a NaN is found; memory of the host is
// what the device makes of it.
func TestFarDecoderAndGuard(t *testing.T) {
	s, _, b, _ := far(t)
	cpu, err := session.OpenDevice("cpu", 2)
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, cpu.Close)
	near, _ := adapted(t, cpu)
	plan, err := s.DecoderPlan(32, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reserve(plan); err != nil {
		t.Fatal(err)
	}
	taken := b.Allocated
	var logits [2][]float32
	for i, x := range []*session.Session{s, near} {
		d, err := x.NewDecoder(32)
		if err != nil {
			t.Fatal(err)
		}
		feed(t, d, 80, 90, 100, 110, 70)
		waits := b.Waits
		for id := range int32(12) {
			logits[i] = feed(t, d, 60+id)
		}
		if i == 0 && (b.Replayed != 11 || b.Waits != waits+12) {
			t.Errorf("%d of 12 tokens from a recording, %d waits", b.Replayed, b.Waits-waits)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(logits[0], logits[1]) {
		t.Error("other logits than on the processor")
	}
	if got := b.Peak - taken; got != exectest.Footprint(plan.Cache) {
		t.Errorf("the cache takes %d bytes, planned %v", got, plan.Cache)
	}
	weights := s.Params()[0]
	broken := session.Float32Bytes([]float32{float32(math.NaN())})
	o := s.Value(weights.Name)
	if err := b.Upload(o.Buf, o.Off+4*124*48, broken); err != nil {
		t.Fatal(err)
	}
	var bad *exec.NonFiniteError
	if err := s.FindNonFinite(t.Context(), []data.Batch{row(64, 30)}); !errors.As(err, &bad) || bad.Bound != weights.Name {
		t.Errorf("a weight that is no number: %v", err)
	}
	memory, free, err := s.Host(64)
	if err != nil || len(memory) != 64 {
		t.Fatal(len(memory), err)
	}
	if err := free(); err != nil {
		t.Error(err)
	}
}
