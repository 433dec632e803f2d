package main

import (
	"cmp"
	"fmt"
	"slices"
)

// slack is what the allocator may hold more without a leak, in bytes, besides a hundredth.
const slack = 4 << 20

// judge prints the first and the last third of the run beside each other and counts what is more in the last.
func judge(samples []sample, steps []step, slower float64) (leaks int, err error) {
	if len(samples) < 6 || len(steps) < 12 {
		return 0, fmt.Errorf("%d checkpoints and %d steps say nothing; take more minutes", len(samples), len(steps))
	}
	a, b := samples[:len(samples)/3], samples[len(samples)-len(samples)/3:]
	fmt.Printf("%d steps, %d checkpoints; medians of the first and the last third of them\n", len(steps), len(samples))
	fmt.Printf("%-26s %12s %12s   %s\n", "", "first", "last", "allowed")
	line := func(what, format string, first, last, most float64) {
		verdict := ""
		if last > most {
			verdict, leaks = "  MORE", leaks+1
		}
		fmt.Printf("%-26s %12s %12s   %s%s\n", what, fmt.Sprintf(format, first), fmt.Sprintf(format, last), fmt.Sprintf(format, most), verdict)
	}
	for _, m := range []struct {
		what   string
		of     func(sample) float64
		format string
		most   func(first float64) float64
	}{
		{"memory, RssAnon, MiB", func(s sample) float64 { return mib(s.anon) }, "%.1f", func(first float64) float64 { return first*1.01 + mib(slack) }},
		{"open files", func(s sample) float64 { return float64(s.fds) }, "%.0f", same},
		{"threads", func(s sample) float64 { return float64(s.threads) }, "%.0f", same},
		{"goroutines", func(s sample) float64 { return float64(s.Goroutines) }, "%.0f", same},
	} {
		first, last := median(a, m.of), median(b, m.of)
		line(m.what, m.format, first, last, m.most(first))
	}
	busy := betweenCheckpoints(samples, steps)
	first, last := median(busy[:len(busy)/3], same), median(busy[len(busy)-len(busy)/3:], same)
	line("processor µs a token", "%.1f", first, last, first*(1+slower))
	perToken := func(s step) float64 { return 1e6 * s.Seconds / float64(s.Padded) } // steps have rows of other lengths
	fmt.Printf("%-26s %12.1f %12.1f\n", "wall-clock µs a token", median(steps[:len(steps)/3], perToken), median(steps[len(steps)-len(steps)/3:], perToken))
	fmt.Printf("%-26s %12.1f %12.1f\n", "heap, MiB", median(a, func(s sample) float64 { return mib(s.Heap) }), median(b, func(s sample) float64 { return mib(s.Heap) }))
	return leaks, nil
}

func same(x float64) float64 { return x }

// betweenCheckpoints is the processor time in µs that each token took between one checkpoint and the next, its evaluation and
// its saving too.
func betweenCheckpoints(samples []sample, steps []step) []float64 {
	var list []float64
	for i, s := range samples[1:] {
		tokens := 0
		for _, st := range steps {
			if samples[i].Step < st.Step && st.Step <= s.Step {
				tokens += st.Padded
			}
		}
		if tokens > 0 {
			list = append(list, float64((s.cpu-samples[i].cpu).Microseconds())/float64(tokens))
		}
	}
	return list
}

func median[T any](list []T, of func(T) float64) float64 {
	values := make([]float64, len(list))
	for i, x := range list {
		values[i] = of(x)
	}
	slices.SortFunc(values, cmp.Compare[float64])
	return values[len(values)/2]
}
