package checkpoint

import (
	"errors"
	"sync"
	"time"

	"attune/internal/safetensors"
)

// Writer writes checkpoints, in the background or not, one at a time and in order. Its methods are called from one goroutine.
type Writer struct {
	store *Store
	under chan struct{} // closed when the write under way is over; nil = none was started

	mu    sync.Mutex
	saved []Saved // not yet told
}

// Saved is how a write ended.
type Saved struct {
	Step  int
	Dir   string // "" = not written
	Bytes int64
	Took  time.Duration
	Err   error // why it was not written; the one before it is untouched
	Left  error // it was written, and older ones could not be removed
}

// NewWriter makes a writer. While a write is under way nobody else saves, prunes or sweeps.
func (s *Store) NewWriter() *Writer { return &Writer{store: s} }

// Start begins to write the checkpoint of st.Step, and then to remove those that prune finds but stay, once the one under way
// is done, for which it waits. It computes where nothing else would. The tensors belong to the writer until it is done; st
// does not: it is encoded before Start returns. before, if not nil, is called on the writer's side: what it makes sure of is
// on disk before the checkpoint is.
func (w *Writer) Start(st State, stay []int, weights, optimizer []safetensors.Tensor, before func() error) {
	w.rest()
	state, err := encodeState(st)
	under := make(chan struct{})
	w.under = under
	go func() {
		defer close(under)
		atLowPriority(func() { w.write(st.Step, state, err, stay, weights, optimizer, before) })
	}()
}

// Write is Start that is done when it returns, and has the caller's priority: on a busy machine nobody waits for what is
// let pass by everyone.
func (w *Writer) Write(st State, stay []int, weights, optimizer []safetensors.Tensor, before func() error) {
	w.rest()
	state, err := encodeState(st)
	w.write(st.Step, state, err, stay, weights, optimizer, before)
}

// write writes an encoded state, or says why there is none.
func (w *Writer) write(step int, state []byte, err error, stay []int, weights, optimizer []safetensors.Tensor, before func() error) {
	began := time.Now()
	r := Saved{Step: step, Err: err}
	if r.Err == nil && before != nil {
		r.Err = before()
	}
	if r.Err == nil {
		r.Dir, r.Bytes, r.Err = w.store.save(step, state, weights, optimizer)
	}
	if r.Err == nil {
		r.Left = w.store.prune(step, stay...)
	}
	r.Took = time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saved = append(w.saved, r)
}

// Done is the writes that ended since the last call of Done or Wait, in order. It never waits.
func (w *Writer) Done() []Saved {
	w.mu.Lock()
	defer w.mu.Unlock()
	saved := w.saved
	w.saved = nil
	return saved
}

// Wait is Done after the write under way.
func (w *Writer) Wait() []Saved {
	w.rest()
	return w.Done()
}

// Close waits for the write under way. What went wrong and was not asked for by then is its error.
func (w *Writer) Close() error {
	var errs []error
	for _, r := range w.Wait() {
		errs = append(errs, r.Err, r.Left)
	}
	return errors.Join(errs...)
}

func (w *Writer) rest() {
	if w.under != nil {
		<-w.under
	}
}
