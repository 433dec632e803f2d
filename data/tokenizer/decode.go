package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder is the chain of steps that turns token strings into text; nil joins the tokens with blanks.
type decoder []decodeStep

// decodeStep is one step. Tokens come one by one; what it makes of them goes to emit.
type decodeStep interface {
	begin() decodeState
}

type decodeState interface {
	token(s string, emit func(string))
	end(emit func(string))
}

func parseDecoder(raw json.RawMessage, depth int) ([]decodeStep, error) {
	var f struct {
		Type           string            `json:"type"`
		Decoders       []json.RawMessage `json:"decoders"`
		Pattern        json.RawMessage   `json:"pattern"`
		Content        string            `json:"content"`
		Start          int               `json:"start"`
		Stop           int               `json:"stop"`
		Replacement    string            `json:"replacement"`
		PrependScheme  string            `json:"prepend_scheme"`
		AddPrefixSpace *bool             `json:"add_prefix_space"`
		Prefix         string            `json:"prefix"`
		Cleanup        bool              `json:"cleanup"`
		Suffix         string            `json:"suffix"`
		PadToken       string            `json:"pad_token"`
		Delimiter      string            `json:"word_delimiter_token"`
	}
	if absent(raw) {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	switch f.Type {
	case "Sequence":
		steps, err := parseSequence(f.Decoders, depth, "decoder", parseDecoder)
		if err == nil && steps == nil {
			steps = []decodeStep{} // an empty chain joins without blanks
		}
		return steps, err
	case "ByteLevel":
		return []decodeStep{byteLevelDecoder{}}, nil
	case "ByteFallback":
		return []decodeStep{byteFallbackDecoder{}}, nil
	case "WordPiece":
		return []decodeStep{wordPieceDecoder{f.Prefix, f.Cleanup}}, nil
	case "BPEDecoder":
		return []decodeStep{endOfWordDecoder{f.Suffix}}, nil
	case "CTC":
		return []decodeStep{ctcDecoder{f.PadToken, f.Delimiter, f.Cleanup}}, nil
	case "Fuse":
		return []decodeStep{fuseDecoder{}}, nil
	case "Replace":
		m, err := parsePattern(f.Pattern)
		if err != nil {
			return nil, fmt.Errorf("decoder Replace: %w", err)
		}
		return []decodeStep{replaceDecoder{m, f.Content}}, nil
	case "Strip":
		if utf8.RuneCountInString(f.Content) != 1 || f.Start < 0 || f.Stop < 0 {
			return nil, fmt.Errorf("decoder Strip: content %q is not one character, or start %d or stop %d is negative", f.Content, f.Start, f.Stop)
		}
		return []decodeStep{stripDecoder{f.Content, f.Start, f.Stop}}, nil
	case "Metaspace":
		m, err := parseMetaspace(f.Replacement, f.PrependScheme, f.AddPrefixSpace)
		if err != nil {
			return nil, fmt.Errorf("decoder Metaspace: %w", err)
		}
		return []decodeStep{metaspaceDecoder(m)}, nil
	}
	return nil, fmt.Errorf("decoder of type %q is not supported", f.Type)
}

// check bounds how much longer a decoder can make a token.
func (d decoder) check() error {
	const most, longest = 3, 16
	n := 0
	for _, step := range d {
		if r, ok := step.(replaceDecoder); ok {
			if n++; n > most || len(r.content) > longest {
				return fmt.Errorf("decoder: more than %d Replace steps, or one whose content is longer than %d bytes", most, longest)
			}
		}
	}
	return nil
}

// Decode turns token ids into text as the tokenizers library's decode does: ids without a token are left out, bytes
// that are not UTF-8 become U+FFFD. skipSpecial leaves out special tokens.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.NewStream(skipSpecial)
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(s.Push(id))
	}
	b.WriteString(s.Flush())
	return b.String()
}

// decodeToken is the string that the decoder reads for a token.
func (t *Tokenizer) decodeToken(id int32, skipSpecial bool) (string, bool) {
	s, ok := t.forms[id]
	if !ok {
		s, ok = t.Token(id)
	}
	return s, ok && !(skipSpecial && t.special[s])
}

type replaceDecoder struct {
	pattern matcher
	content string
}

func (d replaceDecoder) begin() decodeState { return d }

func (d replaceDecoder) token(s string, emit func(string)) {
	parts, err := d.pattern.cut(nil, s)
	if err != nil { // only a match that ran out of time
		emit(s)
		return
	}
	var b strings.Builder
	for _, p := range parts {
		if p.match {
			b.WriteString(d.content)
		} else {
			b.WriteString(s[p.lo:p.hi])
		}
	}
	emit(b.String())
}

func (replaceDecoder) end(func(string)) {}

// stripDecoder takes up to start characters off the front of each token and up to stop off its back.
type stripDecoder struct {
	content     string
	start, stop int
}

func (d stripDecoder) begin() decodeState { return d }

func (d stripDecoder) token(s string, emit func(string)) {
	for i := 0; i < d.start && strings.HasPrefix(s, d.content); i++ {
		s = s[len(d.content):]
	}
	for i := 0; i < d.stop && strings.HasSuffix(s, d.content); i++ {
		s = s[:len(s)-len(d.content)]
	}
	emit(s)
}

func (stripDecoder) end(func(string)) {}

type metaspaceDecoder metaspace

func (d metaspaceDecoder) begin() decodeState { return &metaspaceState{step: d, first: true} }

type metaspaceState struct {
	step  metaspaceDecoder
	first bool
}

func (d *metaspaceState) token(s string, emit func(string)) {
	blank := " "
	if d.first && d.step.scheme != "never" {
		blank = ""
	}
	d.first = false
	emit(strings.ReplaceAll(s, d.step.replacement, blank))
}

func (*metaspaceState) end(func(string)) {}

// byteFallbackDecoder joins a run of tokens <0x00> to <0xFF> to text, or to one U+FFFD each if they are not UTF-8.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) begin() decodeState { return &byteFallbackState{} }

type byteFallbackState struct{ run []byte }

func (d *byteFallbackState) token(s string, emit func(string)) {
	if len(s) == 6 && strings.HasPrefix(s, "<0x") && s[5] == '>' {
		// from_str_radix also takes a plus sign.
		if b, err := strconv.ParseUint(strings.TrimPrefix(s[3:5], "+"), 16, 8); err == nil {
			d.run = append(d.run, byte(b))
			return
		}
	}
	d.end(emit)
	emit(s)
}

func (d *byteFallbackState) end(emit func(string)) {
	if len(d.run) == 0 {
		return
	}
	if utf8.Valid(d.run) {
		emit(string(d.run))
	} else {
		for range d.run {
			emit("\uFFFD")
		}
	}
	d.run = d.run[:0]
}

// fuseDecoder joins all tokens to one.
type fuseDecoder struct{}

func (fuseDecoder) begin() decodeState { return &fuseState{} }

type fuseState struct{ all strings.Builder }

func (d *fuseState) token(s string, _ func(string)) { d.all.WriteString(s) }
func (d *fuseState) end(emit func(string))          { emit(d.all.String()) }

// byteLevelDecoder turns the characters of byte-level tokens back into bytes and joins all tokens to one.
type byteLevelDecoder struct{}

func (byteLevelDecoder) begin() decodeState { return &byteLevelState{} }

type byteLevelState struct{ all []byte }

func (d *byteLevelState) token(s string, _ func(string)) { d.all = appendToken(d.all, s) }

func (d *byteLevelState) end(emit func(string)) {
	out, _ := lossy(nil, d.all, true)
	emit(string(out))
}

// appendToken appends the bytes of a byte-level token; a token with other characters stands for itself.
func appendToken(dst []byte, s string) []byte {
	out, ok := appendBytes(dst, s)
	if !ok {
		out = append(out, s...)
	}
	return out
}

// lossy appends src as UTF-8 to dst. Each longest beginning of a character that goes wrong becomes one U+FFFD (Unicode
// Standard, section 3.9, "Substitution of Maximal Subparts"). Unless final, the beginning of a character at the end is
// left, and rest says how many bytes that is.
func lossy(dst, src []byte, final bool) (out []byte, rest int) {
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		if r != utf8.RuneError || n > 1 {
			dst = append(dst, src[:n]...)
			src = src[n:]
			continue
		}
		if !utf8.FullRune(src) {
			if !final {
				return dst, len(src)
			}
			return append(dst, "\uFFFD"...), 0
		}
		n = 1
		for k := min(len(src), utf8.UTFMax-1); k > 1; k-- {
			if !utf8.FullRune(src[:k]) {
				n = k
				break
			}
		}
		dst = append(dst, "\uFFFD"...)
		src = src[n:]
	}
	return dst, 0
}

// fusesAt is the index of the first step that joins all tokens to one, -1 if there is none.
func (d decoder) fusesAt() int {
	return slices.IndexFunc(d, func(s decodeStep) bool {
		switch s.(type) {
		case fuseDecoder, byteLevelDecoder:
			return true
		}
		return false
	})
}
