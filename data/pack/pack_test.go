package pack

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"attune/data"
	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

// TestDrawings packs the examples of testdata/packings. An example is drawn as its trained mask, its name being a
// letter: "a=..####" is example a of six tokens, the last four of them trained. A row is drawn with a letter a
// token, upper case where the next token is trained, and its padding as a number.
func TestDrawings(t *testing.T) {
	datadriven.RunTest(t, "testdata/packings", func(t *testing.T, d *datadriven.TestData) string {
		micro := 0
		d.ScanArgs(t, "micro", &micro)
		var step []data.Example
		for i, line := range strings.Fields(d.Input) {
			name, mask, _ := strings.Cut(line, "=")
			if n := 0; !strings.ContainsAny(mask, ".#") {
				fmt.Sscan(mask, &n)
				mask = "." + strings.Repeat("#", n-1)
			}
			e := data.Example{Ordinal: i}
			for _, c := range mask {
				e.IDs = append(e.IDs, int32(name[0]))
				e.Weights = append(e.Weights, map[rune]float32{'.': 0, '#': 1}[c])
			}
			step = append(step, e)
		}
		var b strings.Builder
		for _, batch := range Pack(step, micro, Options{}) {
			b.WriteString(drawBatch(batch))
		}
		return b.String()
	})
}

// drawBatch writes runs of more than eight equal letters as letter and count.
func drawBatch(b data.Batch) string {
	var marks []string
	for t := range b.Real {
		mark := string(rune(b.IDs[t]))
		if b.Weights[t] != 0 {
			mark = strings.ToUpper(mark)
		}
		if t == 0 || b.Segments[t] != b.Segments[t-1] {
			mark = "|" + mark
		}
		marks = append(marks, mark)
	}
	s := ""
	for i := 0; i < len(marks); {
		j := i + 1
		for j < len(marks) && marks[j] == marks[i] {
			j++
		}
		if j-i > 8 {
			s += fmt.Sprintf("%s*%d ", marks[i], j-i)
		} else {
			s += strings.Join(marks[i:j], "")
		}
		i = j
	}
	return fmt.Sprintf("%s +%d  tokens %d trained %d\n", s, b.Tokens-b.Real, b.Tokens, b.Trained)
}

// step draws examples of the given length in which each token tells where it stands.
func step(t *rapid.T, longest int) []data.Example {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) data.Example {
		n := rapid.IntRange(1, longest).Draw(t, "length")
		e := data.Example{IDs: make([]int32, n), Weights: make([]float32, n)}
		for i := range n {
			e.IDs[i] = rapid.Int32Range(1, 50).Draw(t, "id")
			e.Weights[i] = rapid.SampledFrom([]float32{0, 1, 1, 0.5, 2.5}).Draw(t, "weight")
		}
		return e
	}), 0, 40).Draw(t, "step")
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micro := rapid.IntRange(1, 6*Quantum).Draw(t, "micro")
		limit := max(micro/Quantum*Quantum, Quantum)
		examples := step(t, 2*limit)
		for i := range examples {
			examples[i].Ordinal = 1000 + i // so that Keys name the example
		}
		o := Options{Seed: rapid.Uint64().Draw(t, "seed"), Epoch: rapid.IntRange(0, 3).Draw(t, "epoch"), PadID: 7}
		batches := Pack(examples, micro, o)
		if !reflect.DeepEqual(batches, Pack(examples, micro, o)) {
			t.Fatal("packed twice, packed otherwise")
		}
		byKey := map[int32]int{} // the key of an example's first token
		for i, e := range examples {
			byKey[newKeys(o, e.Ordinal).next()] = i
		}
		seen := map[int]int{}
		sum, tokens, trained := 0.0, 0, 0
		for _, b := range batches {
			for _, n := range []int{len(b.IDs), len(b.Positions), len(b.Segments), len(b.Targets), len(b.Weights), len(b.Keys)} {
				if n != b.Tokens || n%Quantum != 0 || n-b.Real >= Quantum {
					t.Fatalf("length %d, tokens %d, real %d", n, b.Tokens, b.Real)
				}
			}
			at := 0
			for segment := int32(0); at < b.Real; segment++ {
				i, ok := byKey[b.Keys[at]]
				if !ok {
					t.Fatalf("token %d is no example's first", at)
				}
				seen[i]++
				if b.Tokens > limit && (at > 0 || len(examples[i].IDs) != b.Real) {
					t.Fatalf("%d tokens in a row shared by examples, limit %d", b.Tokens, limit)
				}
				sum += checkExample(t, b, at, segment, examples[i], TrainedWeight(examples), o)
				at += len(examples[i].IDs)
				trained += examples[i].Trained()
			}
			for ; at < b.Tokens; at++ {
				if b.IDs[at] != 7 || b.Positions[at] != 0 || b.Segments[at] != -1 || b.Targets[at] != 0 || b.Weights[at] != 0 || b.Keys[at] != 0 {
					t.Fatalf("padding at %d holds something", at)
				}
			}
			tokens += b.Real
			for _, w := range b.Weights {
				if w != 0 {
					trained--
				}
			}
		}
		for i := range examples {
			if seen[i] != 1 {
				t.Fatalf("example %d stands in %d rows", i, seen[i])
			}
		}
		if trained != 0 {
			t.Fatalf("%d trained tokens lost", trained)
		}
		if TrainedWeight(examples) > 0 && math.Abs(sum-1) > 1e-4 {
			t.Fatalf("weights add up to %g", sum)
		}
	})
}

// checkExample compares the tokens from at with an example and gives the sum of their weights.
func checkExample(t *rapid.T, b data.Batch, at int, segment int32, e data.Example, norm float64, o Options) float64 {
	keys, sum, trained := newKeys(o, e.Ordinal), 0.0, 0
	for p, id := range e.IDs {
		target, weight := int32(0), float32(0)
		if p+1 < len(e.IDs) {
			target = e.IDs[p+1]
			if e.Weights[p+1] != 0 {
				weight = float32(float64(e.Weights[p+1]) / norm)
				trained++
			}
		}
		k := at + p
		if b.IDs[k] != id || b.Positions[k] != int32(p) || b.Segments[k] != segment || b.Targets[k] != target || b.Weights[k] != weight || b.Keys[k] != keys.next() {
			t.Fatalf("token %d of an example: id %d position %d segment %d target %d weight %g", p, b.IDs[k], b.Positions[k], b.Segments[k], b.Targets[k], b.Weights[k])
		}
		sum += float64(weight)
	}
	return sum
}

// TestKeysDoNotKnowPacking: an example's keys are those it has alone, and differ with seed, epoch and ordinal.
func TestKeysDoNotKnowPacking(t *testing.T) {
	e := func(n, ordinal int) data.Example {
		return data.Example{IDs: make([]int32, n), Weights: make([]float32, n), Ordinal: ordinal}
	}
	// The first keys of (seed 42, epoch 1, ordinal 3), by the same definition written in Python.
	pinned := newKeys(Options{Seed: 42, Epoch: 1}, 3)
	for i, want := range []uint32{366836657, 3789370709, 2615509803, 2328400894} {
		if got := uint32(pinned.next()); got != want {
			t.Errorf("key %d is %d, want %d", i, got, want)
		}
	}
	o := Options{Seed: 5, Epoch: 1}
	together := Pack([]data.Example{e(10, 0), e(20, 1)}, 64, o)
	alone := Pack([]data.Example{e(20, 1)}, 64, o)
	if len(together) != 1 || !slices.Equal(together[0].Keys[10:30], alone[0].Keys[:20]) {
		t.Errorf("keys change with packing: %v and %v", together[0].Keys, alone[0].Keys)
	}
	for _, other := range []data.Batch{
		Pack([]data.Example{e(20, 1)}, 64, Options{Seed: 6, Epoch: 1})[0],
		Pack([]data.Example{e(20, 1)}, 64, Options{Seed: 5, Epoch: 2})[0],
		Pack([]data.Example{e(20, 2)}, 64, o)[0],
	} {
		for i := range 20 {
			if slices.Contains(alone[0].Keys[:20], other.Keys[i]) {
				t.Errorf("key %d is shared", other.Keys[i])
			}
		}
	}
}

// TestEval: weights are 1 a trained token, whatever the example's own.
func TestEval(t *testing.T) {
	b := EvalRow([]data.Example{{IDs: []int32{1, 2, 3, 4}, Weights: []float32{1, 0, 0.25, 3}}}, Options{})
	if !slices.Equal(b.Weights[:4], []float32{0, 1, 1, 0}) || b.Trained != 2 || b.Real != 4 {
		t.Errorf("weights %v, trained %d, real %d", b.Weights[:4], b.Trained, b.Real)
	}
}

// TestFewRows: no row is over the limit, the even filling is taken only where it computes less, and all rows but one
// are more than half full on average.
func TestFewRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(1, 1024), 1, 300).Draw(t, "lengths")
		rows, used := Assign(lengths, 1024), 0
		first := bestFit(lengths, sorted(lengths), 1024)
		if computed(lengths, rows) > computed(lengths, first) {
			t.Fatalf("%d tokens computed, %d with best-fit alone", computed(lengths, rows), computed(lengths, first))
		}
		for i, row := range rows {
			n := 0
			for _, e := range row {
				n += lengths[e]
			}
			if used += n; n > 1024 {
				t.Fatalf("row %d has %d tokens", i, n)
			}
		}
		// Best-fit opens a row only for what fits nowhere, so that no two of its rows could be one.
		if half := (used + 511) / 512; len(rows) > half+1 {
			t.Fatalf("%d rows for %d tokens", len(rows), used)
		}
	})
}

func sorted(lengths []int) []int {
	order := make([]int, len(lengths))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return lengths[b] - lengths[a] })
	return order
}
