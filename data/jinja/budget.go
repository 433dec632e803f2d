package jinja

import (
	"context"
	"encoding/json"
)

// budget is what a rendering may still use, and who may end it.
type budget struct {
	steps, bytes, depth int // what is left
	due                 int // with fewer steps left, ctx is looked at
	ctx                 context.Context
}

const (
	stepBytes = 64   // bytes of a string that are read in one step
	stepItems = 16   // items of a list that are handed on in one step
	stepPause = 1000 // steps between two looks at ctx

	markBytes = 24 // what remembering an origin takes
)

// step counts one unit of work.
func (b *budget) step() error {
	if b.steps--; b.steps >= b.due {
		return nil
	}
	return b.pause()
}

// spendSteps counts n units of work at once.
func (b *budget) spendSteps(n int) error {
	if n < 0 || n > b.steps {
		b.steps = 0
		return limit("the template takes too many steps")
	}
	if b.steps -= n; b.steps >= b.due {
		return nil
	}
	return b.pause()
}

// pause looks whether the rendering is to go on.
func (b *budget) pause() error {
	if b.steps < 0 {
		return limit("the template takes too many steps")
	}
	b.due = max(b.steps-stepPause, 0)
	return b.ctx.Err()
}

// spend counts bytes before they are made.
func (b *budget) spend(n int) error {
	if n > b.bytes || n < 0 {
		return limit("the template makes too much text")
	}
	b.bytes -= n
	return nil
}

func (b *budget) enter() error {
	if b.depth--; b.depth < 0 {
		return limit("the template nests or recurses too deeply")
	}
	return b.step()
}

func (b *budget) leave() { b.depth++ }

// read counts a string that is about to be looked at from end to end; other values are counted where their items are.
func (b *budget) read(v Value) error {
	n := 0
	switch v := v.(type) {
	case *Str:
		n = len(v.s)
	case json.Number:
		n = len(v)
	}
	if n < stepBytes {
		return nil
	}
	return b.spendSteps(n / stepBytes)
}

// readAll is read for the arguments of a call.
func (b *budget) readAll(args []Value, kw *Dict) error {
	for _, v := range args {
		if err := b.read(v); err != nil {
			return err
		}
	}
	if kw != nil {
		return b.readAll(kw.vals, nil)
	}
	return nil
}

// grown counts what a text that was made of n counted bytes has beyond them.
func (b *budget) grown(v Value, n int) error {
	if s, ok := v.(*Str); ok && s.size() > n {
		return b.spend(s.size() - n)
	}
	return nil
}

// maxValueDepth bounds lists within lists, so that walking a value is bounded.
const maxValueDepth = 500

// work counts the size of a value that is about to be walked through.
func (b *budget) work(v Value) error { return b.walk(v, 0) }

func (b *budget) walk(v Value, depth int) error {
	if err := b.step(); err != nil {
		return err
	}
	if depth > maxValueDepth {
		return limit("a value nests deeper than %d levels", maxValueDepth)
	}
	if d, ok := v.(*Dict); ok {
		if err := b.readAll(d.keys, nil); err != nil {
			return err
		}
		for _, it := range d.vals {
			if err := b.walk(it, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	items, _ := sequence(v)
	for _, it := range items {
		if err := b.walk(it, depth+1); err != nil {
			return err
		}
	}
	return b.read(v)
}
