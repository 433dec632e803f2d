package tokenizer

import "strings"

// Stream decodes token by token.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	states      []decodeState
	fuse        int // the step that joins all tokens, where what follows it can be given out at once; -1 = none
	pending     []byte
	strip       stripDecoder // what is taken off the front of the joined text: at most strip.start times
	tokens      int          // tokens read
	out         strings.Builder
}

// NewStream begins decoding token by token. The texts that Push and Flush return, joined, equal Decode of all the ids.
// Some text comes with a later token: a character of several tokens when it is whole, a run of byte-fallback tokens when
// it is over (one byte of it that is not UTF-8 turns all of it into U+FFFD), and where the decoder looks at the joined
// text, all of it in the end.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skipSpecial: skipSpecial, fuse: -1}
	for _, d := range t.decoder {
		s.states = append(s.states, d.begin())
	}
	at := t.decoder.fusesAt()
	if at < 0 {
		return s
	}
	switch after := t.decoder[at+1:]; {
	case len(after) == 0:
		s.fuse = at
	case len(after) == 1:
		if d, ok := after[0].(stripDecoder); ok && d.stop == 0 {
			s.fuse, s.strip = at, d
		}
	}
	return s
}

// Push adds a token and returns the text that it completes, which never ends within a character.
func (s *Stream) Push(id int32) string {
	token, ok := s.t.decodeToken(id, s.skipSpecial)
	if !ok {
		return ""
	}
	s.tokens++
	if s.t.decoder == nil {
		if s.tokens > 1 {
			return " " + token
		}
		return token
	}
	s.pass(0, token)
	return s.take(false)
}

// pass gives a token to a step and what it makes of it to the steps behind.
func (s *Stream) pass(step int, token string) {
	switch {
	case step == s.fuse:
		s.join(token)
	case step == len(s.states):
		s.out.WriteString(token)
	default:
		s.states[step].token(token, func(made string) { s.pass(step+1, made) })
	}
}

// join adds a token to the joined text.
func (s *Stream) join(token string) {
	if _, ok := s.t.decoder[s.fuse].(byteLevelDecoder); ok {
		s.pending = appendToken(s.pending, token)
		return
	}
	s.out.WriteString(token)
}

// take returns the text that is complete.
func (s *Stream) take(final bool) string {
	if len(s.pending) > 0 {
		whole, rest := lossy(nil, s.pending, final)
		s.out.Write(whole)
		s.pending = append(s.pending[:0], s.pending[len(s.pending)-rest:]...)
	}
	text := s.out.String()
	s.out.Reset()
	for s.strip.start > 0 && text != "" {
		cut, found := strings.CutPrefix(text, s.strip.content)
		if !found {
			s.strip.start = 0
			break
		}
		text = cut
		s.strip.start--
	}
	return text
}

// Flush ends the text and returns what was held back.
func (s *Stream) Flush() string {
	if s.t.decoder == nil {
		return ""
	}
	for i := range s.states {
		if i == s.fuse {
			break
		}
		s.states[i].end(func(made string) { s.pass(i+1, made) })
	}
	return s.take(true)
}
