// Kill shows that kill -9 changes nothing: it runs small trainings (an adapter with dropout, all weights, float32 and
// bfloat16), kills each at random moments until it ends, and compares what it leaves with the same run unbroken: the
// published bytes, the last state and every line of metrics.jsonl. It exits with 1 where anything differs.
//
//	go build -o bin/attune ./cmd/attune && go run ./scripts/kill --kills 500 --seed 1 --attune bin/attune
//
// A moment is a fraction, drawn by the seed, of what was left of the run, by how long the unbroken one took. The fractions
// can be repeated; what they hit cannot, since the machine decides how far a process has come by then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func main() {
	kills := flag.Int("kills", 500, "processes to kill")
	seed := flag.Uint64("seed", 1, "of the moments")
	program := flag.String("attune", filepath.Join("bin", "attune"), "the program")
	shared := flag.String("shared", filepath.Join("..", "shared"), "the reference data; where it is not, models and rows are made")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	wrong, err := campaign(ctx, *kills, *seed, *program, *shared)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kill:", err)
	}
	if err != nil || wrong > 0 {
		os.Exit(1)
	}
}

// campaign kills runs of all kinds in turn and says how many ended otherwise than unbroken. What they left stays then.
func campaign(ctx context.Context, kills int, seed uint64, program, shared string) (wrong int, err error) {
	root, err := os.MkdirTemp("", "attune-kill-")
	if err != nil {
		return 0, err
	}
	defer func() {
		if wrong > 0 {
			fmt.Println("what the runs left is in", root)
		} else {
			err = errors.Join(err, os.RemoveAll(root))
		}
	}()
	if program, err = filepath.Abs(program); err != nil {
		return 0, err
	}
	lessons, err := makeLessons(ctx, program, shared, root)
	if err != nil {
		return 0, err
	}
	fmt.Printf("seed %d, %d kills, over %d kinds of runs\n", seed, kills, len(lessons))
	begin := time.Now()
	for _, l := range lessons {
		if err := l.unbroken(ctx, program, root); err != nil {
			return 0, err
		}
	}
	done := 0
	for round := 0; done < kills; round++ {
		l := lessons[round%len(lessons)]
		r := newRun(l, program, filepath.Join(root, fmt.Sprintf("run-%d", round)), seed, uint64(round))
		if err := r.live(ctx, kills-done); err != nil {
			return wrong, fmt.Errorf("round %d, %s: %w", round, l.name, err)
		}
		done += r.kills
		l.rounds++
		if len(r.differs) > 0 {
			r.complain(round)
			wrong++
		} else if err := os.RemoveAll(r.dir); err != nil {
			return wrong, err
		}
		if round%20 == 19 {
			fmt.Printf("%d of %d kills, %d runs ended, %d otherwise than unbroken, %.0f s\n", done, kills, round+1, wrong, time.Since(begin).Seconds())
		}
	}
	report(lessons)
	fmt.Printf("%d kills, %d runs otherwise than unbroken, %.0f s\n", done, wrong, time.Since(begin).Seconds())
	return wrong, nil
}

// report prints where the kills fell.
func report(lessons []*lesson) {
	fmt.Printf("%-28s %5s %6s", "run", "ended", "killed")
	for _, p := range phases {
		fmt.Printf(" %11s", p)
	}
	fmt.Println()
	total, rounds := make([]int, len(phases)), 0
	for _, l := range lessons {
		row(l.name, l.rounds, l.fell)
		rounds += l.rounds
		for i, n := range l.fell {
			total[i] += n
		}
	}
	row("all", rounds, total)
}

func row(name string, rounds int, fell []int) {
	sum := 0
	for _, n := range fell {
		sum += n
	}
	fmt.Printf("%-28s %5d %6d", name, rounds, sum)
	for _, n := range fell {
		fmt.Printf(" %11d", n)
	}
	fmt.Println()
}

// phases are what a process was at when it was killed.
var phases = []string{"reading", "training", "saving", "publishing"}

func phaseIndex(name string) int { return slices.Index(phases, name) }
