//go:build gpu

package cuda

import (
	"errors"
	"runtime"
	"sync"
)

// worker is the one thread that calls the driver: a context is current to a thread, a capture must end on the thread
// that began it, and Go moves goroutines between threads.
type worker struct {
	calls chan call
	ended chan struct{} // closed when the thread is left
	once  sync.Once
	quit  chan struct{}
}

type call struct {
	f    func() error
	done chan error
}

var errClosed = errors.New("the device is closed")

func newWorker() *worker {
	w := &worker{calls: make(chan call), ended: make(chan struct{}), quit: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine, and the context's state with it
		defer close(w.ended)
		for {
			select {
			case c := <-w.calls:
				c.done <- c.f()
			case <-w.quit:
				return
			}
		}
	}()
	return w
}

// do runs f on the thread and gives its error. Calls from several goroutines take turns.
func (w *worker) do(f func() error) error {
	c := call{f, make(chan error, 1)}
	select {
	case w.calls <- c:
		return <-c.done
	case <-w.ended:
		return errClosed
	}
}

// stop ends the thread; later calls of do give errClosed.
func (w *worker) stop() {
	w.once.Do(func() { close(w.quit) })
	<-w.ended
}
