package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"attune/engine/exec"
	"attune/engine/nn"
)

// prefill is the most tokens of a prompt that are computed at once.
const prefill = 512

// Decoder reads and writes a key/value cache: each Feed continues the text before it.
type Decoder struct {
	s     *Session
	rows  int     // S, of the cache
	fed   []int32 // the tokens in the cache
	cache map[string]exec.Operand
}

// NewDecoder makes an empty cache for texts of up to rows tokens.
func (s *Session) NewDecoder(rows int) (*Decoder, error) {
	d := &Decoder{s: s, rows: rows, cache: map[string]exec.Operand{}}
	caches, err := s.caches(d)
	if err != nil {
		return nil, err
	}
	for name, o := range caches {
		if o.Buf, err = s.o.Device.Alloc(o.Bytes()); err != nil {
			return nil, errors.Join(fmt.Errorf("allocate the key/value cache of %d tokens: %w", rows, err), d.Close())
		}
		d.cache[name] = o
	}
	return d, nil
}

// Rows is how many tokens the cache holds.
func (d *Decoder) Rows() int { return d.rows }

// Len is how many tokens have been fed since the last Reset.
func (d *Decoder) Len() int { return len(d.fed) }

// Reset forgets everything fed.
func (d *Decoder) Reset() { d.fed = d.fed[:0] }

// Keep forgets what was fed from where it departs from ids, and gives the ids yet to be fed. One at least is, since the
// logits follow it.
func (d *Decoder) Keep(ids []int32) []int32 {
	n := 0
	for n < len(d.fed) && n < len(ids)-1 && d.fed[n] == ids[n] {
		n++
	}
	d.fed = d.fed[:n]
	return ids[n:]
}

// Feed continues with ids and gives the logits (V) that follow the last of them, valid until the next call.
func (d *Decoder) Feed(ids []int32) ([]float32, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("feed: no tokens")
	}
	if d.Len()+len(ids) > d.rows {
		return nil, fmt.Errorf("feed: %d tokens behind %d in a cache of %d", len(ids), d.Len(), d.rows)
	}
	var logits []float32
	for len(ids) > 0 {
		n := min(len(ids), prefill)
		var err error
		if logits, err = d.chunk(ids[:n]); err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	return logits, nil
}

// chunk runs up to prefill tokens, padded to one of a few lengths; padding has position -1 and leaves the cache alone.
func (d *Decoder) chunk(ids []int32) ([]float32, error) {
	t := padded(len(ids))
	p, err := d.s.get(key{purpose: generating, tokens: t, decoder: d})
	if err != nil {
		return nil, err
	}
	tokens, positions := make([]int32, t), make([]int32, t)
	copy(tokens, ids)
	for i := range positions {
		positions[i] = -1
		if i < len(ids) {
			positions[i] = int32(d.Len() + i)
		}
	}
	for name, v := range map[string][]int32{nn.IDs: tokens, nn.Positions: positions, nn.Rows: {int32(len(ids) - 1)}} {
		if err := exec.Upload(d.s.o.Device, p.inputs[name], int32Bytes(v)); err != nil {
			return nil, fmt.Errorf("upload %s: %w", name, err)
		}
	}
	if err := p.runner.Queue(context.Background()); err != nil {
		return nil, err
	}
	d.fed = append(d.fed, ids...)
	return d.s.floats(p.runner.Output(0)) // waits
}

// Close frees the cache and the programs bound to it.
func (d *Decoder) Close() error {
	var errs []error
	for k, p := range d.s.programs {
		if k.decoder == d {
			errs = append(errs, p.close())
			delete(d.s.programs, k)
		}
	}
	for _, o := range d.cache {
		errs = append(errs, o.Buf.Free())
	}
	d.cache = nil
	return errors.Join(errs...)
}

// floats downloads a float32 operand.
func (s *Session) floats(o exec.Operand) ([]float32, error) {
	raw, err := exec.Download(s.o.Device, o)
	if err != nil {
		return nil, err
	}
	v := make([]float32, len(raw)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return v, nil
}
