package optest_test

import (
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cpu"
)

// processor is kernels/cpu as a backend of the suite.
type processor struct{ *cpu.Engine }

func (p processor) Run(k kernels.Kernel, in, out []optest.View) error {
	ins, outs := views(in), views(out)
	return p.Engine.Run(k, ins, outs, make([]byte, p.Scratch(k, ins, outs)))
}

func views(vs []optest.View) []cpu.View {
	out := make([]cpu.View, len(vs))
	for i, v := range vs {
		out[i] = cpu.View(v)
	}
	return out
}

// Every instruction set of this machine, and plain Go, goes through the suite.
func TestProcessor(t *testing.T) {
	for _, isa := range cpu.ISAs() {
		t.Run(isa, func(t *testing.T) {
			optest.Run(t, func(t testing.TB, threads int) optest.Backend {
				e, err := cpu.New(cpu.Options{Threads: threads, ISA: isa})
				if err != nil {
					t.Fatal(err)
				}
				return processor{e}
			})
		})
	}
}
