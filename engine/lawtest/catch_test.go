package lawtest

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"attune/data/loader"
	"attune/engine/exec"
	cpubackend "attune/engine/exec/cpu"
	"attune/engine/exec/exectest"
	"attune/engine/session"
	"attune/kernels"

	"pgregory.net/rapid"
)

// planted is a mistake that somebody could make, and the laws that are there to find it.
type planted struct {
	mistake string
	faults  func() faults // anew for each law: some count
	caught  []string
}

// launching is a mistake in what is launched.
func launching(f func(c trial, l exec.Launch, run func(exec.Launch) error) error) func() faults {
	return func() faults { return faults{launch: f} }
}

func mistakes() []planted {
	return []planted{
		{"the order of a sum depends on the threads", launching(func(c trial, l exec.Launch, run func(exec.Launch) error) error {
			return after(run(l), func() {
				if c.threads > 1 && l.Kernel.Name() == "linear_bwd" {
					flip(l.Out)
				}
			})
		}), []string{"1 thread = n threads", "resumed = unbroken"}},

		{"an addition reads what it has overwritten", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			return after(run(l), func() {
				if l.Kernel.Name() == "add" && (l.Out[0].Off == l.In[0].Off || l.Out[0].Off == l.In[1].Off) {
					flip(l.Out)
				}
			})
		}), []string{"in place = apart"}},

		{"dropout is keyed by the place in the row", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			if !dropping(l.Kernel) {
				return run(l)
			}
			return run(withInts(l, func(_, at int32) int32 { return at }))
		}), []string{"packed = unpacked", "k micro-batches = 1", "rows in another order", "a row twice at half weight"}},

		{"dropout is drawn anew at every pass", func() faults {
			pass := int32(0)
			return faults{launch: func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
				if !dropping(l.Kernel) {
					return run(l)
				}
				pass++
				return run(withInts(l, func(key, _ int32) int32 { return key ^ pass }))
			}}
		}, []string{"recompute = stored", "resumed = unbroken"}},

		{"attention looks into other examples", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			if name := l.Kernel.Name(); name != "attention" && name != "attention_bwd" {
				return run(l)
			}
			return run(withInts(l, func(segment, _ int32) int32 { return min(segment, 0) }))
		}), []string{"packed = unpacked", "k micro-batches = 1", "rows in another order", "backend = reference"}},

		{"the loss is divided by the tokens of a micro-batch", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			if w := memory(l.In, 3); l.Kernel.Name() == "linear_cross_entropy" {
				sum := 0.0
				for at := 0; at < len(w); at += 4 {
					sum += float(w[at:])
				}
				for at := 0; at < len(w); at += 4 {
					put(w[at:], float(w[at:])/sum)
				}
			}
			return run(l)
		}), []string{"packed = unpacked", "k micro-batches = 1", "a step's loss = the evaluation's"}},

		{"the weights of tokens are not looked at", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			if w := memory(l.In, 3); l.Kernel.Name() == "linear_cross_entropy" {
				for at := 0; at < len(w); at += 4 {
					if float(w[at:]) != 0 {
						put(w[at:], 0.01)
					}
				}
			}
			return run(l)
		}), []string{"a row twice at half weight"}},

		{"padding has a gradient", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			return after(run(l), func() {
				if l.Kernel.Name() == "embed_bwd" {
					ids, grad := memory(l.In, 0), memory(l.Out, 0)
					last := int(binary.LittleEndian.Uint32(ids[len(ids)-4:]))
					put(grad[4*last*l.Out[0].Shape[1]:], 1)
				}
			})
		}), []string{"another padding id"}},

		{"the adapter's scale is a little off", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			switch k := l.Kernel.(type) {
			case kernels.Linear:
				k.Scale *= 1.01
				l.Kernel = k
			case kernels.LinearBwd:
				k.Scale *= 1.01
				l.Kernel = k
			}
			return run(l)
		}), []string{"merged = adapter", "backend = reference"}},

		{"the cache's attention has another scale", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			if k, ok := l.Kernel.(kernels.AttentionCached); ok {
				k.Scale *= 1.01
				l.Kernel = k
			}
			return run(l)
		}), []string{"generated = judged"}},

		{"an update is not written", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			if l.Kernel.Name() != "adamw" {
				return run(l)
			}
			weight := memory(l.In, 0)
			was := slices.Clone(weight)
			return after(run(l), func() { copy(weight, was) })
		}), []string{"learning rate 0"}},

		{"an update moves at any rate", launching(func(_ trial, l exec.Launch, run func(exec.Launch) error) error {
			return after(run(l), func() {
				if l.Kernel.Name() == "adamw" {
					flip(l.Out)
				}
			})
		}), []string{"learning rate 0"}},

		{"an evaluation leaves a trace", func() faults {
			judged := false
			return faults{launch: func(c trial, l exec.Launch, run func(exec.Launch) error) error {
				return after(run(l), func() {
					if l.Kernel.Name() == "linear_cross_entropy" && l.Out[1].Buf == nil {
						judged = true
					}
					if judged && c.judged > 0 && l.Kernel.Name() == "adamw" {
						flip(l.Out)
					}
				})
			}}
		}, []string{"watched = unwatched"}},

		{"the second moments are not taken up again", func() faults {
			return faults{resumed: func(j *job) {
				kept := moments(j)
				for name, data := range kept {
					if strings.HasSuffix(name, "_sq") {
						clear(data)
					}
				}
				must(j.rt, j.Optimizer.Load(j.Optimizer.Updates(), func(name string, _ []int) ([]byte, error) { return kept[name], nil }))
			}}
		}, []string{"resumed = unbroken"}},

		{"AdamW counts its updates from 0 again", func() faults {
			return faults{resumed: func(j *job) {
				kept := moments(j)
				must(j.rt, j.Optimizer.Load(0, func(name string, _ []int) ([]byte, error) { return kept[name], nil }))
			}}
		}, []string{"resumed = unbroken"}},

		{"the cursor is one step further", func() faults {
			return faults{resumed: func(j *job) {
				c := j.trial
				n := c.perStep % len(c.examples)
				rotated := append(slices.Clone(c.examples[n:]), c.examples[:n]...)
				rows, err := loader.New([]loader.Source{{Name: "rows", Set: loader.SetOf(rotated), Weight: 1, Repeat: 1}},
					loader.Options{ExamplesPerStep: c.perStep, Steps: c.schedule.Steps, Shuffle: c.shuffle, Seed: c.seed})
				must(j.rt, err)
				j.Data = rows
			}}
		}, []string{"resumed = unbroken"}},
	}
}

// after is err, with what is done where there is none.
func after(err error, do func()) error {
	if err == nil {
		do()
	}
	return err
}

// memory is that of an operand, nil where there is none.
func memory(os []exec.Operand, i int) []byte {
	if i >= len(os) || os[i].Buf == nil {
		return nil
	}
	return cpubackend.Bytes(os[i])
}

// flip changes the last bit of the first number of the first output that is wanted.
func flip(out []exec.Operand) {
	for i := range out {
		if m := memory(out, i); m != nil {
			m[0] ^= 1
			return
		}
	}
}

func put(b []byte, f float64) { binary.LittleEndian.PutUint32(b, math.Float32bits(float32(f))) }

func dropping(k kernels.Kernel) bool {
	switch k := k.(type) {
	case kernels.Linear:
		return k.Dropout > 0
	case kernels.LinearBwd:
		return k.Dropout > 0
	}
	return false
}

// withInts is a launch whose integer inputs are others; the memory they lie in is not touched.
func withInts(l exec.Launch, f func(was, at int32) int32) exec.Launch {
	l.In = slices.Clone(l.In)
	for i, o := range l.In {
		if o.Dtype != kernels.Int32 {
			continue
		}
		other := slices.Clone(cpubackend.Bytes(o))
		for at := 0; at < len(other); at += 4 {
			was := int32(binary.LittleEndian.Uint32(other[at:]))
			binary.LittleEndian.PutUint32(other[at:], uint32(f(was, int32(at/4))))
		}
		l.In[i].Buf, l.In[i].Off = cpubackend.Wrap(other, kernels.Int32), 0
	}
	return l
}

// verdict takes what rapid says of a law, in the place of a test.
type verdict struct {
	testing.TB
	failed bool
	said   strings.Builder
}

func (v *verdict) Helper()                      {}
func (v *verdict) Name() string                 { return "planted" }
func (v *verdict) Failed() bool                 { return v.failed }
func (v *verdict) Log(args ...any)              { fmt.Fprintln(&v.said, args...) }
func (v *verdict) Logf(f string, args ...any)   { fmt.Fprintf(&v.said, f+"\n", args...) }
func (v *verdict) Fail()                        { v.failed = true }
func (v *verdict) Error(args ...any)            { v.Log(args...); v.Fail() }
func (v *verdict) Errorf(f string, args ...any) { v.Logf(f, args...); v.Fail() }
func (v *verdict) FailNow()                     { v.Fail(); runtime.Goexit() }
func (v *verdict) Fatal(args ...any)            { v.Log(args...); v.FailNow() }
func (v *verdict) Fatalf(f string, args ...any) { v.Logf(f, args...); v.FailNow() }

// breaks says whether a law fails within the checks that are set.
func (l law) breaks(t *testing.T, b *bench) (bool, string) {
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rapid.Check(v, func(rt *rapid.T) { l.hold(b, rt) })
	}()
	<-done
	return v.failed, v.said.String()
}

// many sets as many trials as find a mistake, always the same.
func many(t *testing.T) {
	for flag, value := range map[string]string{"rapid.checks": "150", "rapid.seed": "7", "rapid.shrinktime": "0s", "rapid.nofailfile": "true"} {
		setFlag(t, flag, value)
	}
}

// Every mistake is found by the laws that are there for it: a law that cannot fail holds nothing.
func TestLawsCatchMistakes(t *testing.T) {
	many(t)
	b := newBench(Setup{Open: func(threads int) (*session.Device, error) { return session.OpenDevice("cpu", threads) },
		Dtypes: []kernels.Dtype{kernels.Float32}, Models: []string{"llama", "qwen2"}}, t.TempDir())
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, p := range mistakes() {
		t.Run(p.mistake, func(t *testing.T) {
			for _, name := range p.caught {
				i := slices.IndexFunc(laws(), func(l law) bool { return l.name == name })
				b.faults = p.faults()
				found, said := laws()[i].breaks(t, b)
				if said, _, _ = strings.Cut(said, "\n"); !found {
					t.Errorf("%s does not notice: %s", name, said)
				}
				t.Logf("%s: %s", name, said)
			}
		})
	}
}

// forgetful is a device whose recordings lack the last launch; hasty takes many launches as one, but for the first.
type (
	forgetful struct{ *exectest.Discrete }
	hasty     struct{ *exectest.Discrete }
)

func (f forgetful) Record(launches []exec.Launch) (exec.Recording, error) {
	return f.Discrete.Record(launches[:len(launches)-1])
}

func (h hasty) LaunchAll(launches []exec.Launch) error { return h.Discrete.LaunchAll(launches[1:]) }

// So are those of a device that records.
func TestLawsCatchRecordings(t *testing.T) {
	many(t)
	for name, wrong := range map[string]func(*exectest.Discrete) exec.Backend{
		"forgetful": func(d *exectest.Discrete) exec.Backend { return forgetful{d} },
		"hasty":     func(d *exectest.Discrete) exec.Backend { return hasty{d} },
	} {
		b := newBench(Setup{Models: []string{"llama"}, Dtypes: []kernels.Dtype{kernels.Float32}, Open: func(threads int) (*session.Device, error) {
			d, err := session.OpenDevice("cpu", threads)
			if err != nil {
				return nil, err
			}
			return &session.Device{Backend: wrong(exectest.NewDiscrete(d.Backend))}, nil
		}}, t.TempDir())
		i := slices.IndexFunc(laws(), func(l law) bool { return l.name == "recorded = launched" })
		if found, said := laws()[i].breaks(t, b); !found {
			t.Errorf("%s: the law does not notice: %s", name, said)
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}
}

// moments are a copy of the optimizer's, by name.
func moments(j *job) map[string][]byte {
	kept := map[string][]byte{}
	for _, m := range j.Optimizer.State() {
		data, err := j.Session.Read(m.Value)
		must(j.rt, err)
		kept[m.Name] = slices.Clone(data)
	}
	return kept
}
