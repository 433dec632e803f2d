// Package loader says which examples each optimizer step learns from, and hands them over packed and ahead of time.
// The order is a function of the examples, the options and the step's number alone: to resume, ask for the next number.
//
// An epoch takes round(Repeat · Weight · n) examples of a source with n, at least one. They are the next ones of an
// endless walk through the source, which goes on where the epoch before left off: no example comes again before every
// other has been seen. With Shuffle each walk through a source is a fresh permutation and the epoch's examples are then
// mixed; without, files follow one another, rows in their order.
package loader

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"attune/data"
	"attune/internal/rng"
)

// Source is one set of examples and how much of it an epoch takes.
type Source struct {
	Name   string // for complaints
	Set    *Set
	Weight float64 // share of the examples in an epoch: 1 = all, 0.5 = half, 2 = each twice
	Repeat int     // times the source is read in an epoch
}

// Options is the order and the length of a run.
type Options struct {
	ExamplesPerStep int
	Shuffle         bool
	Seed            uint64
	Epochs          float64 // may be a fraction; rounded up to a whole step
	Steps           int     // > 0 overrides Epochs
}

// Loader is safe for use by several goroutines at once.
type Loader struct {
	sources []Source
	opts    Options
	counts  []int // examples of each source in an epoch
	first   []int // number of the first example of each source among all
	total   int   // examples in all sources
	epoch   int   // examples in an epoch
	perStep int
	steps   int

	mu     sync.Mutex
	orders [2]order // of the epochs last asked for
}

// order is one epoch: for each visit the Ordinal its example gets.
type order struct {
	epoch  int
	visits []uint64
}

// New is a Loader over one source or several. All that is wrong with them and the options is in the error.
func New(sources []Source, o Options) (*Loader, error) {
	if err := check(sources, o); err != nil {
		return nil, err
	}
	l := &Loader{sources: sources, opts: o, perStep: o.ExamplesPerStep}
	for _, s := range sources {
		n := s.Set.Len()
		count := max(1, int(math.Round(float64(s.Repeat)*s.Weight*float64(n))))
		l.counts = append(l.counts, count)
		l.first = append(l.first, l.total)
		l.total += n
		l.epoch += count
	}
	l.steps = o.Steps
	if o.Steps == 0 {
		// A little less than the product, so that 3 · 0.1 epochs of 10 steps are 3 steps.
		l.steps = max(1, int(math.Ceil(o.Epochs*float64(l.StepsPerEpoch())-1e-9)))
	}
	l.orders[0].epoch, l.orders[1].epoch = -1, -1
	return l, nil
}

func check(sources []Source, o Options) error {
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(sources) == 0 {
		complain("order examples: no source; name a file under data.train")
	}
	for _, s := range sources {
		if s.Set == nil || s.Set.Len() == 0 {
			complain("order examples: %s has none; add rows or remove the source", s.Name)
		}
		if !(s.Weight > 0) || s.Weight > MaxShare {
			complain("order examples: weight %v of %s; give a number above 0 and up to %v", s.Weight, s.Name, MaxShare)
		}
		if s.Repeat < 1 || s.Repeat > MaxShare {
			complain("order examples: repeat %d of %s; give a whole number from 1 to %v", s.Repeat, s.Name, MaxShare)
		}
	}
	if o.ExamplesPerStep < 1 {
		complain("order examples: examples_per_step is %d; give a whole number from 1", o.ExamplesPerStep)
	}
	if o.Steps < 0 {
		complain("order examples: steps is %d; give a whole number from 1, or epochs", o.Steps)
	}
	if o.Steps == 0 && (!(o.Epochs > 0) || o.Epochs > MaxEpochs) {
		complain("order examples: epochs is %v; give a number above 0 and up to %v, or steps", o.Epochs, MaxEpochs)
	}
	return errors.Join(errs...)
}

// Bounds that keep the numbers of visits and steps inside an int.
const (
	MaxShare  = 10_000
	MaxEpochs = 1_000_000
)

// Steps is the number of optimizer steps of the run.
func (l *Loader) Steps() int { return l.steps }

// StepsPerEpoch is the number of steps in one epoch, the last of which may be smaller than the others.
func (l *Loader) StepsPerEpoch() int { return (l.epoch + l.perStep - 1) / l.perStep }

// Step gives the examples of step i, from 0, and the epoch it lies in, from 0. Any step may be asked for at any time.
// Ordinal is new: it numbers the examples over all sources, and the copies of one in an epoch apart. It fails where a set's
// file cannot be read.
func (l *Loader) Step(i int) (examples []data.Example, epoch int, err error) {
	visits, epoch := l.step(i)
	examples = make([]data.Example, len(visits))
	for k, ordinal := range visits {
		set, number := l.find(ordinal)
		if examples[k], err = set.Example(number); err != nil {
			return nil, epoch, err
		}
		examples[k].Ordinal = int(ordinal)
	}
	return examples, epoch, nil
}

// step gives the Ordinals of step i and its epoch.
func (l *Loader) step(i int) (visits []uint64, epoch int) {
	per := l.StepsPerEpoch()
	epoch = i / per
	from := i % per * l.perStep
	visits = l.visits(epoch)
	return visits[from:min(from+l.perStep, len(visits))], epoch
}

// find gives the set of an Ordinal, which is number among all + copy · total, and the number in it.
func (l *Loader) find(ordinal uint64) (*Set, int) {
	number := int(ordinal % uint64(l.total))
	s := len(l.first) - 1
	for l.first[s] > number {
		s--
	}
	return l.sources[s].Set, number - l.first[s]
}

// visits gives the order of an epoch. Two are kept, since the one who trains and the one who reads ahead may be in
// neighbouring epochs.
func (l *Loader) visits(epoch int) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	slot := &l.orders[epoch%2]
	if slot.epoch != epoch {
		*slot = order{epoch, l.arrange(epoch)}
	}
	return slot.visits
}

// Streams of random numbers, kept apart by their first key. Checkpoints name the version of the order that their run began
// with: whoever changes it raises the order scheme of engine/checkpoint.
const (
	walkStream  = 1 // keys walkStream, source, walk: the permutation of one walk through a source
	epochStream = 2 // keys epochStream, epoch: the mixing of an epoch
)

func shuffle(a []uint64, random *rng.Source) {
	random.Shuffle(len(a), func(i, j int) { a[i], a[j] = a[j], a[i] })
}

func (l *Loader) arrange(epoch int) []uint64 {
	visits := make([]uint64, 0, l.epoch)
	for s, source := range l.sources {
		n := source.Set.Len()
		from := epoch * l.counts[s]
		firstWalk := from / n
		var walk []uint64
		for at := from; at < from+l.counts[s]; at++ {
			if number := at / n; walk == nil || at%n == 0 {
				walk = l.walk(s, number)
			}
			copyOf := uint64(at/n - firstWalk)
			visits = append(visits, uint64(l.first[s])+walk[at%n]+copyOf*uint64(l.total))
		}
	}
	if l.opts.Shuffle {
		shuffle(visits, rng.New(l.opts.Seed, epochStream, uint64(epoch)))
	}
	return visits
}

// walk is the order of one walk through a source.
func (l *Loader) walk(source, number int) []uint64 {
	walk := make([]uint64, l.sources[source].Set.Len())
	for i := range walk {
		walk[i] = uint64(i)
	}
	if l.opts.Shuffle {
		shuffle(walk, rng.New(l.opts.Seed, walkStream, uint64(source), uint64(number)))
	}
	return walk
}

// Fingerprint is a SHA-256 over the ids and weights of all examples, the sources' shares and what decides the order:
// two runs with the same one learn from the same tokens in the same steps. The number of steps is not part of it. It
// fails where a set's file cannot be read.
func (l *Loader) Fingerprint() ([sha256.Size]byte, error) {
	h := sha256.New()
	h.Write([]byte("attune order 1\n"))
	put := func(v uint64) { h.Write(binary.LittleEndian.AppendUint64(nil, v)) }
	put(uint64(l.perStep))
	put(l.opts.Seed)
	if l.opts.Shuffle {
		put(1)
	} else {
		put(0)
	}
	put(uint64(len(l.sources)))
	for s, source := range l.sources {
		put(uint64(l.counts[s]))
		if err := source.Set.digest(h); err != nil {
			return [sha256.Size]byte{}, err
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
