// Command model says what an optimizer step of `attune bench` would take on a GPU if every kernel reached a ceiling: it plans
// all launches of the step for an H100 (kernels/cuda), and adds up their bytes and FLOPs. It is arithmetic, not a measurement:
// no cache, no bank conflict, no wait is in it.
//
//	go run ./scripts/gpu/model --shape llama3-8b --tokens 4096
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"

	"attune/kernels/cuda"
)

func main() {
	shape := flag.String("shape", "llama3-8b", "as of attune bench")
	tokens := flag.Int("tokens", 4096, "of the one row of a step, which is one example")
	r := flag.Int("lora-r", 16, "rank of LoRA on all linear layers")
	lt := flag.Bool("lt", true, "cuBLASLt makes products, too")
	l := ceilings{blocks: 132}
	flag.Float64Var(&l.product, "product", 650, "TFLOP/s of matrix products")
	flag.Float64Var(&l.attention, "attention", 350, "TFLOP/s of attention, by what is computed")
	flag.Float64Var(&l.memory, "memory", 2.6, "TB/s")
	flag.Float64Var(&l.launch, "launch", 2, "microseconds of a launch")
	flag.IntVar(&l.blocks, "blocks", l.blocks, "multiprocessors")
	flag.Parse()
	l.product, l.attention, l.memory, l.launch = l.product*1e12, l.attention*1e12, l.memory*1e12, l.launch*1e-6
	if err := run(*shape, *tokens, *r, cuda.Target{CC: 90, Lt: *lt, Hopper: true}, l); err != nil {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

// line is a row of the table.
type line struct {
	cost
	name     string
	launches int
}

type table map[string]*line

func (t table) add(name string, c cost) {
	if t[name] == nil {
		t[name] = &line{name: name}
	}
	t[name].add(c)
	t[name].launches++
}

// sum adds all lines up.
func (t table) sum() line {
	all := line{name: "all"}
	for _, x := range t {
		all.add(x.cost)
		all.launches += x.launches
	}
	return all
}

func run(shape string, tokens, r int, target cuda.Target, l ceilings) error {
	calls, trained, err := program(shape, tokens, r, target)
	if err != nil {
		return err
	}
	whole, tuned, frozen := table{}, table{}, table{}
	for _, c := range calls {
		if err := l.count(c, target, c.kernel.Name(), whole); err != nil {
			return err
		}
		if f, ok := c.frozen(); ok {
			if err := l.count(f, target, "", frozen); err != nil {
				return err
			}
		}
		switch n := c.kernel.Name(); n {
		case "linear", "linear_bwd":
			if err := l.count(c, target, "", tuned); err != nil {
				return err
			}
		}
	}
	steps, err := update(target, trained)
	if err != nil {
		return err
	}
	for _, u := range steps {
		moved := map[string]int64{"zero": 4, "sumsq": 4, "adamw": 28}[u.name] * int64(u.elems)
		for i := range u.steps {
			x := cost{seconds: l.launch}
			if i == 0 {
				x.bytes, x.seconds = moved, x.seconds+float64(moved)/l.memory
			}
			whole.add(u.name, x)
		}
	}
	print(whole, tokens)
	with, without := tuned.sum(), frozen.sum()
	fmt.Printf("\nlinear layers with LoRA %.1f ms, frozen alone %.1f ms: LoRA is %.1f %% of that\n", 1e3*with.seconds, 1e3*without.seconds,
		100*(with.seconds/without.seconds-1))
	return nil
}

// count adds the steps of a call to t, under the call's name and theirs.
func (l ceilings) count(c call, target cuda.Target, op string, t table) error {
	steps, err := c.plan(target)
	if err != nil {
		return err
	}
	for _, s := range steps {
		name, x, err := l.cost(c, s)
		if err != nil {
			return err
		}
		t.add(op+": "+name, x)
	}
	return nil
}

func print(t table, tokens int) {
	all := t.sum()
	var lines []line
	for _, x := range t {
		lines = append(lines, *x)
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Or(cmp.Compare(b.seconds, a.seconds), cmp.Compare(a.name, b.name)) })
	fmt.Printf("%-40s %8s %9s %9s %9s %6s\n", "A model, not a measurement", "launches", "GB", "TFLOP", "ms", "share")
	for _, x := range append(lines, all) {
		fmt.Printf("%-40s %8d %9.2f %9.3f %9.2f %5.1f%%\n", x.name, x.launches, float64(x.bytes)/1e9, float64(x.flop)/1e12, 1e3*x.seconds,
			100*x.seconds/all.seconds)
	}
	fmt.Printf("\n%.0f tokens/s at most\n", float64(tokens)/all.seconds)
}
