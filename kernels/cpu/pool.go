package cpu

import (
	"sync"
	"sync/atomic"
)

// pool is n workers: n-1 goroutines that wait, and the caller of parallel.
type pool struct {
	n    int
	wake []chan *job
	done sync.WaitGroup
}

// job is one call of parallel: items 0..n-1, taken one after the other by whoever is free.
type job struct {
	n    int64
	next atomic.Int64
	f    func(worker, i int)
	wg   sync.WaitGroup
}

func newPool(n int) *pool {
	p := &pool{n: n, wake: make([]chan *job, n)}
	for w := 1; w < n; w++ {
		ch := make(chan *job, 1)
		p.wake[w] = ch
		p.done.Go(func() {
			for j := range ch {
				j.run(w)
				j.wg.Done()
			}
		})
	}
	return p
}

func (p *pool) close() {
	for _, ch := range p.wake[1:] {
		close(ch)
	}
	p.done.Wait()
}

func (j *job) run(worker int) {
	for {
		i := j.next.Add(1) - 1
		if i >= j.n {
			return
		}
		j.f(worker, int(i))
	}
}

// parallel calls f once for every i in [0, n), on any worker and in any order, and returns when all are done. worker
// is in [0, Threads): two calls at the same time never have the same one, so it can index memory of its own. f must
// write only what belongs to i. Which i exist may depend on shapes, never on the number of threads, unless the items
// are independent outputs.
func (e *Engine) parallel(n int, f func(worker, i int)) {
	if n <= 0 {
		return
	}
	j := &job{n: int64(n), f: f}
	helpers := min(e.pool.n, n) - 1
	j.wg.Add(helpers)
	for w := 1; w <= helpers; w++ {
		e.pool.wake[w] <- j
	}
	j.run(0)
	j.wg.Wait()
}

// chunks splits rows into pieces of at least grain rows and calls f with the bounds of each, several pieces a worker
// so that an uneven one does not hold up the others. Only for rows that do not share an output.
func (e *Engine) chunks(rows, grain int, f func(worker, lo, hi int)) {
	size := max(grain, (rows+4*e.pool.n-1)/(4*e.pool.n), 1)
	e.parallel((rows+size-1)/size, func(worker, i int) {
		f(worker, i*size, min(rows, (i+1)*size))
	})
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
