package session

import (
	"fmt"

	"attune/engine/exec"
)

// JudgingBytes is the arena that Loss takes for rows of up to so many tokens, without allocating it.
func (s *Session) JudgingBytes(tokens int) (int64, error) {
	p, err := s.compile(key{purpose: judging, tokens: tokens})
	if err != nil {
		return 0, err
	}
	return p.Program.Plan().Arena, nil
}

// DecoderBytes is what a decoder of so many rows takes, without allocating it: its key/value cache, and the arena for
// prompts of up to so many tokens.
func (s *Session) DecoderBytes(rows, prompt int) (cache, arena int64, err error) {
	caches, err := s.caches(rows)
	if err != nil {
		return 0, 0, err
	}
	for _, o := range caches {
		cache += o.Bytes()
	}
	for _, tokens := range []int{1, padded(min(prompt, prefill))} {
		p, err := s.compile(key{purpose: generating, tokens: tokens, decoder: &Decoder{s: s, rows: rows}})
		if err != nil {
			return 0, 0, fmt.Errorf("plan %d tokens of a text: %w", tokens, err)
		}
		arena = max(arena, p.Program.Plan().Arena)
	}
	return cache, arena, nil
}

// caches are the key/value caches of texts of up to rows tokens by name, without memory.
func (s *Session) caches(rows int) (map[string]exec.Operand, error) {
	b, _, err := s.graph(generating, 1, rows)
	if err != nil {
		return nil, err
	}
	caches := map[string]exec.Operand{}
	for _, in := range b.Inputs() {
		if in.Cache {
			caches[in.Name] = exec.Operand{Dtype: s.o.Dtype, Shape: in.Shape}
		}
	}
	return caches, nil
}

// padded is the length of the program that computes so many tokens at once: one of a few.
func padded(tokens int) int {
	t := 1
	for t < tokens {
		t *= 2
	}
	return t
}
