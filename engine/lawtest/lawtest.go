// Package lawtest is the laws of training as one suite, which every backend and every model type goes through: what a run
// comes to must not depend on how it is computed. Each law is a subtest over random small trials (model, adapter, rows,
// optimizer, where a run is killed) drawn by rapid; a trial that fails is made smaller and printed with what repeats it.
//
// A law says that two ways give the same bits, or the same to rounding. Where it is rounding, the learning rate is 0 and
// losses, norms and AdamW's first moments (sums of gradients) are compared: AdamW divides by the root of second moments
// that may be tiny, so that weights, once they move, can part by any amount.
//
// Those who add a backend write a test that calls Run; engine/lawtest's own holds the processor's.
package lawtest

import (
	"flag"
	"strconv"
	"sync"
	"testing"

	"attune/engine/model"
	"attune/engine/session"
	"attune/kernels"

	"pgregory.net/rapid"
)

// Setup is what the laws are held on.
type Setup struct {
	// Open opens the device with so many threads; one without threads ignores the number. It is called once a number.
	Open func(threads int) (*session.Device, error)
	// Dtypes are what is computed in; nil = float32 and bfloat16.
	Dtypes []kernels.Dtype
	// Models are model_types; nil = all there are.
	Models []string
	// Checks is how many trials a law is held to, where -rapid.checks does not say; 0 = 20.
	Checks int
}

// law is one subtest: hold fails where two ways of doing the same part.
type law struct {
	name string
	hold func(*bench, *rapid.T)
}

// laws are all there are. What one catches that the others do not is in catch_test.go.
func laws() []law {
	return []law{
		{"packed = unpacked", packed},
		{"k micro-batches = 1", microBatches},
		{"1 thread = n threads", threads},
		{"recompute = stored", recompute},
		{"in place = apart", inPlace},
		{"recorded = launched", recorded},
		{"resumed = unbroken", resumed},
		{"resumed = unbroken, with a guard", guarded},
		{"watched = unwatched", watched},
		{"merged = adapter", merged},
		{"opened = saved", opened},
		{"backend = reference", reference},
		{"generated = judged", generated},
		{"a step's loss = the evaluation's", evaluation},
		{"rows in another order", order},
		{"a row twice at half weight", twice},
		{"all weights doubled", doubled},
		{"another padding id", padding},
		{"learning rate 0", frozen},
	}
}

// Run holds a backend to all laws, each a subtest.
func Run(t *testing.T, s Setup) {
	if s.Dtypes == nil {
		s.Dtypes = []kernels.Dtype{kernels.Float32, kernels.BFloat16}
	}
	if s.Models == nil {
		s.Models = model.Types()
	}
	if s.Checks == 0 {
		s.Checks = 20
	}
	b := newBench(s, t.TempDir())
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	setChecks(t, s.Checks)
	for _, l := range laws() {
		t.Run(l.name, func(t *testing.T) { rapid.Check(t, func(rt *rapid.T) { l.hold(b, rt) }) })
	}
}

// asked is whether the command line says how many checks there are: rapid has no other way to be told.
var asked = sync.OnceValue(func() bool {
	found := false
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == "rapid.checks" })
	return found
})

// setChecks sets the number of checks until the test is over.
func setChecks(t *testing.T, n int) {
	if !asked() {
		setFlag(t, "rapid.checks", strconv.Itoa(n))
	}
}

// setFlag sets a flag until the test is over.
func setFlag(t *testing.T, name, value string) {
	f := flag.Lookup(name)
	was := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Value.Set(was); err != nil {
			t.Error(err)
		}
	})
}
