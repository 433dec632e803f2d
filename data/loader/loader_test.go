package loader

import (
	"context"
	"math"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"attune/data"
	"attune/data/pack"

	"pgregory.net/rapid"
)

// numbered makes n examples; example i has the single id first+i and then a token that is trained.
func numbered(first, n int) []data.Example {
	examples := make([]data.Example, n)
	for i := range examples {
		examples[i] = data.Example{IDs: []int32{int32(first + i), 9}, Weights: []float32{0, 1}, Ordinal: i}
	}
	return examples
}

// one is examples as a source of their own, all of it once an epoch.
func one(examples []data.Example) []Source {
	return []Source{{Set: SetOf(examples), Weight: 1, Repeat: 1}}
}

func mustNew(t testing.TB, sources []Source, o Options) *Loader {
	l, err := New(sources, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ids gives the first ids of the examples of each step.
func ids(l *Loader) [][]int {
	var steps [][]int
	for i := range l.Steps() {
		examples, _, _ := l.Step(i)
		var step []int
		for _, e := range examples {
			step = append(step, int(e.IDs[0]))
		}
		steps = append(steps, step)
	}
	return steps
}

func TestOrder(t *testing.T) {
	two := func(weightA, weightB float64, repeatA, repeatB int) []Source {
		return []Source{
			{Name: "a", Set: SetOf(numbered(0, 4)), Weight: weightA, Repeat: repeatA},
			{Name: "b", Set: SetOf(numbered(10, 3)), Weight: weightB, Repeat: repeatB},
		}
	}
	for _, c := range []struct {
		name    string
		sources []Source
		o       Options
		want    [][]int
	}{
		{"two epochs, the last step of each smaller", two(1, 1, 1, 1), Options{ExamplesPerStep: 4, Epochs: 2},
			[][]int{{0, 1, 2, 3}, {10, 11, 12}, {0, 1, 2, 3}, {10, 11, 12}}},
		{"one and a half epochs", two(1, 1, 1, 1), Options{ExamplesPerStep: 4, Epochs: 1.5},
			[][]int{{0, 1, 2, 3}, {10, 11, 12}, {0, 1, 2, 3}}},
		{"a part of an epoch is at least one step", two(1, 1, 1, 1), Options{ExamplesPerStep: 4, Epochs: 0.01},
			[][]int{{0, 1, 2, 3}}},
		{"steps override epochs", two(1, 1, 1, 1), Options{ExamplesPerStep: 7, Epochs: 5, Steps: 2},
			[][]int{{0, 1, 2, 3, 10, 11, 12}, {0, 1, 2, 3, 10, 11, 12}}},
		{"repeat", two(1, 1, 1, 2), Options{ExamplesPerStep: 10, Epochs: 1},
			[][]int{{0, 1, 2, 3, 10, 11, 12, 10, 11, 12}}},
		{"half of a source an epoch, the other half in the next", two(0.5, 1, 1, 1), Options{ExamplesPerStep: 5, Epochs: 3},
			[][]int{{0, 1, 10, 11, 12}, {2, 3, 10, 11, 12}, {0, 1, 10, 11, 12}}},
		{"a share that does not come out even goes on where it stopped", two(0.75, 0.01, 1, 1), Options{ExamplesPerStep: 4, Epochs: 3},
			[][]int{{0, 1, 2, 10}, {3, 0, 1, 11}, {2, 3, 0, 12}}},
		{"weight 1.5 and repeat 2", two(1.5, 1, 2, 1), Options{ExamplesPerStep: 15, Epochs: 1},
			[][]int{{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 10, 11, 12}}},
	} {
		if got := ids(mustNew(t, c.sources, c.o)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestShuffledOrder pins an order: a run trained yesterday must find it again tomorrow. The numbers are those of the
// same definition written in Python.
func TestShuffledOrder(t *testing.T) {
	o := Options{ExamplesPerStep: 4, Epochs: 2, Shuffle: true, Seed: 42}
	l, err := New(one(numbered(0, 8)), o)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]int{{2, 5, 3, 4}, {7, 1, 6, 0}, {7, 6, 0, 2}, {5, 3, 1, 4}}
	if got := ids(l); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestEpochs: whatever the shares, an epoch takes its number of each source, no example twice before all others once,
// ordinals in an epoch differ, and any step can be asked for in any order.
func TestEpochs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sources []Source
		for range rapid.IntRange(1, 3).Draw(t, "sources") {
			sources = append(sources, Source{
				Set:    SetOf(numbered(1000*len(sources), rapid.IntRange(1, 12).Draw(t, "n"))),
				Weight: rapid.Float64Range(0.05, 3).Draw(t, "weight"),
				Repeat: rapid.IntRange(1, 3).Draw(t, "repeat"),
			})
		}
		o := Options{ExamplesPerStep: rapid.IntRange(1, 9).Draw(t, "per step"), Shuffle: rapid.Bool().Draw(t, "shuffle"), Seed: rapid.Uint64().Draw(t, "seed"), Epochs: 4}
		l, err := New(sources, o)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]int{}
		ordinals := map[[2]int]bool{}
		inEpoch := 0
		for i := range l.Steps() {
			examples, epoch, _ := l.Step(i)
			if epoch != i/l.StepsPerEpoch() {
				t.Fatalf("step %d in epoch %d", i, epoch)
			}
			for _, e := range examples {
				seen[int(e.IDs[0])]++
				if ordinals[[2]int{epoch, e.Ordinal}] {
					t.Fatalf("ordinal %d twice in epoch %d", e.Ordinal, epoch)
				}
				ordinals[[2]int{epoch, e.Ordinal}] = true
				inEpoch++
			}
			if len(examples) != o.ExamplesPerStep && (i+1)%l.StepsPerEpoch() != 0 {
				t.Fatalf("step %d has %d examples", i, len(examples))
			}
			if (i+1)%l.StepsPerEpoch() != 0 {
				continue
			}
			if inEpoch != l.epoch {
				t.Fatalf("%d examples in epoch %d, want %d", inEpoch, epoch, l.epoch)
			}
			inEpoch = 0
			for s, source := range sources {
				n, total, least, most := source.Set.Len(), 0, math.MaxInt, 0
				for k := range n {
					count := seen[1000*s+k]
					total, least, most = total+count, min(least, count), max(most, count)
				}
				share := max(1, int(math.Round(source.Weight*float64(source.Repeat*n))))
				if total != (epoch+1)*share || most-least > 1 {
					t.Fatalf("source %d after %d epochs: %d visits, want %d; from %d to %d an example", s, epoch+1, total, (epoch+1)*share, least, most)
				}
			}
		}
		fresh, err := New(sources, o)
		if err != nil {
			t.Fatal(err)
		}
		i := rapid.IntRange(0, l.Steps()-1).Draw(t, "step")
		a, _, _ := l.Step(i)
		b, _, _ := fresh.Step(i)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("step %d asked for by itself is %v, after the others %v", i, b, a)
		}
	})
}

func TestShuffleDependsOnSeedAndEpoch(t *testing.T) {
	order := func(seed uint64, epoch int) []int {
		l, err := New(one(numbered(0, 50)), Options{ExamplesPerStep: 50, Epochs: 2, Shuffle: true, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return ids(l)[epoch]
	}
	a := order(1, 0)
	if slices.Equal(a, order(2, 0)) || slices.Equal(a, order(1, 1)) || slices.IsSorted(a) {
		t.Errorf("orders do not differ: %v", a)
	}
}

func TestComplaints(t *testing.T) {
	_, err := New([]Source{{Name: "a.jsonl", Set: &Set{}, Weight: math.NaN(), Repeat: 0}}, Options{Epochs: math.Inf(1)})
	want := `order examples: a.jsonl has none; add rows or remove the source
order examples: weight NaN of a.jsonl; give a number above 0 and up to 10000
order examples: repeat 0 of a.jsonl; give a whole number from 1 to 10000
order examples: examples_per_step is 0; give a whole number from 1
order examples: epochs is +Inf; give a number above 0 and up to 1000000, or steps`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := New(nil, Options{ExamplesPerStep: 1, Steps: 1}); err == nil {
		t.Error("no complaint about no sources")
	}
}

func first(examples []data.Example, _ int, _ error) []data.Example { return examples }

func TestFingerprint(t *testing.T) {
	make := func(change func(*Source, *Options)) [32]byte {
		s := Source{Set: SetOf(numbered(0, 5)), Weight: 1, Repeat: 1}
		o := Options{ExamplesPerStep: 2, Shuffle: true, Seed: 1, Epochs: 1}
		change(&s, &o)
		sum, err := mustNew(t, []Source{s}, o).Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	base := make(func(*Source, *Options) {})
	if base != make(func(s *Source, o *Options) { o.Epochs, o.Steps, s.Name = 3, 7, "other" }) {
		t.Error("changes with the length of the run or a name")
	}
	if base != make(func(s *Source, _ *Options) { s.Set = spilled(t, t.TempDir(), numbered(0, 5)) }) {
		t.Error("changes with where the examples lie")
	}
	for name, change := range map[string]func(*Source, *Options){
		"seed":    func(_ *Source, o *Options) { o.Seed = 2 },
		"shuffle": func(_ *Source, o *Options) { o.Shuffle = false },
		"step":    func(_ *Source, o *Options) { o.ExamplesPerStep = 3 },
		"share":   func(s *Source, _ *Options) { s.Repeat = 2 },
		"ids":     func(s *Source, _ *Options) { s.Set = SetOf(numbered(1, 5)) },
		"weights": func(s *Source, _ *Options) {
			e := numbered(0, 5)
			e[3].Weights[1] = 0.5
			s.Set = SetOf(e)
		},
		"bounds": func(s *Source, _ *Options) {
			e := numbered(0, 5)
			e[0].IDs, e[0].Weights = append(e[0].IDs, e[1].IDs[0]), []float32{0, 1, 0}
			e[1].IDs, e[1].Weights = e[1].IDs[1:], e[1].Weights[1:]
			s.Set = SetOf(e)
		},
	} {
		if base == make(change) {
			t.Errorf("does not change with %s", name)
		}
	}
}

// TestPrefetch gives what Step and pack.Pack give, in order, from any step on.
func TestPrefetch(t *testing.T) {
	l, err := New(one(numbered(0, 23)), Options{ExamplesPerStep: 5, Epochs: 3, Shuffle: true, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []int{0, 7, l.Steps()} {
		next := from
		for p := range l.Prefetch(t.Context(), from, PrefetchOptions{MicroTokens: 64, PadID: 2}) {
			examples, epoch, _ := l.Step(next)
			want := pack.Pack(examples, 64, pack.Options{Seed: 3, Epoch: epoch, PadID: 2})
			if p.Step != next || p.Epoch != epoch || !reflect.DeepEqual(p.Batches, want) || p.Trained != len(examples) || p.Tokens != 2*len(examples) {
				t.Fatalf("step %d: %+v", next, p)
			}
			next++
		}
		if next != l.Steps() {
			t.Errorf("from %d: ended before step %d of %d", from, next, l.Steps())
		}
	}
}

// TestPrefetchEnds: with a break and with the context, and no goroutine is left behind.
func TestPrefetchEnds(t *testing.T) {
	l, err := New(one(numbered(0, 100)), Options{ExamplesPerStep: 1, Epochs: 50})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	seen := 0
	for range l.Prefetch(t.Context(), 0, PrefetchOptions{MicroTokens: 64}) {
		if seen++; seen == 3 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range l.Prefetch(ctx, 0, PrefetchOptions{MicroTokens: 64}) {
		if seen++; seen == 6 {
			cancel()
		}
	}
	if seen != 6 {
		t.Errorf("%d steps, want 6", seen)
	}
	for range 1000 { // a goroutine that has done its last is still counted for a moment
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// Survey says what packing every step comes to, without packing.
func TestSurvey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var sources []Source
		for s := range rapid.IntRange(1, 3).Draw(rt, "sources") {
			set := &Set{}
			for i, n := range rapid.SliceOfN(rapid.IntRange(1, 300), 1, 30).Draw(rt, "lengths") {
				_ = set.Add(data.Example{Position: data.Position{File: string(rune('a' + s))}, IDs: make([]int32, n), Weights: make([]float32, n), Ordinal: i})
			}
			sources = append(sources, Source{Name: "s", Set: set, Weight: rapid.Float64Range(0.1, 2).Draw(rt, "weight"), Repeat: 1})
		}
		l, err := New(sources, Options{ExamplesPerStep: rapid.IntRange(1, 9).Draw(rt, "per step"), Epochs: 2.5, Shuffle: true, Seed: 5})
		if err != nil {
			rt.Fatal(err)
		}
		micro := rapid.IntRange(64, 512).Draw(rt, "micro")
		want, seen := Survey{Whole: true}, map[int]bool{}
		for i := range l.Steps() {
			p := l.Pack(i, PrefetchOptions{MicroTokens: micro})
			want.Tokens += int64(p.Tokens)
			for _, b := range p.Batches {
				want.Longest = max(want.Longest, b.Tokens)
				want.Padded += int64(b.Tokens)
				want.Rows++
				seen[b.Tokens] = true
			}
		}
		want.Lengths = len(seen)
		if got := l.Survey(micro); got != want {
			rt.Fatalf("%+v, want %+v", got, want)
		}
	})
}
