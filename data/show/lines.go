package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"attune/data"
)

// Line is a line of a text: up to a line end, or to where another state begins or the words of another message.
type Line struct {
	Rule   string // what is to be said above it: a cut, the begin of a part; "" = nothing
	Who    string // whose words it holds, as "1 user"; "template" where it is the template's alone; "" for white space of that
	State  State
	Pieces []Piece
}

// Piece is a run of bytes that cannot be taken apart between tokens, with the tokens it stands for: one, several where
// they meet within a character, none where the tokenizer leaves bytes out.
type Piece struct {
	From, To int    // of the example's Tokens
	Text     string // "" for a token that stands for no bytes
}

// pieces cuts a text along its tokens, and behind each line end.
func pieces(text string, tokens []Token) []Piece {
	var out []Piece
	at := 0
	add := func(from, to, end int) {
		first := len(out)
		for start := at; start < end; start = at {
			for at < end && text[at] != '\n' {
				at++
			}
			at = min(at+1, end)
			out = append(out, Piece{from, to, text[start:at]})
		}
		if len(out) == first {
			out = append(out, Piece{from, to, ""})
		}
	}
	for i := 0; i < len(tokens); {
		if gap := boundary(text, max(tokens[i].Span.Start, at)); gap > at {
			add(i, i, gap)
		}
		end, k := max(tokens[i].Span.End, at), i+1
		for k < len(tokens) && (end < len(text) && !utf8.RuneStart(text[end]) || tokens[k].Span.Start < end) {
			end = max(end, tokens[k].Span.End)
			k++
		}
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end++
		}
		add(i, k, end)
		i = k
	}
	if at < len(text) {
		add(len(tokens), len(tokens), len(text))
	}
	return out
}

// boundary is the begin of the character in which byte at of a text lies.
func boundary(text string, at int) int {
	for at > 0 && at < len(text) && !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

// nobody and noRow are who a line belongs to where it holds no message's words.
const (
	nobody = -2 // those of the template
	noRow  = -1 // of no message: tools, the system prompt, a text
)

// lines lays an example out.
func (r *Reader) lines(c data.Conversation, e *Example) []Line {
	var out []Line
	rules := r.rules(e)
	who := nobody // of the open line
	open := false
	state := Read
	for _, p := range pieces(e.Text, e.Tokens) {
		owner, label := nobody, ""
		if p.From < p.To {
			t := &e.Tokens[p.From]
			state = t.State
			if t.Words {
				owner, label = t.Origin.Message, t.Origin.Field
			}
		}
		rule, ruled := "", false
		for i := p.From; i < p.To; i++ {
			if s, ok := rules[i]; ok {
				rule, ruled = s, true
				delete(rules, i)
			}
		}
		other := owner != nobody && who != nobody && owner != who
		if !open || ruled || out[len(out)-1].State != state || other {
			var moved []Piece
			if open && other && !ruled && out[len(out)-1].State == state {
				moved = r.opening(&out[len(out)-1], e.Tokens)
			}
			out = append(out, Line{Rule: rule, State: state, Pieces: moved})
			who, open = nobody, true
		}
		l := &out[len(out)-1]
		if owner != nobody && who == nobody {
			who, l.Who = owner, name(c, owner, label)
		}
		if l.Who == "" && (p.Text == "" || strings.TrimSpace(p.Text) != "") && p.From < p.To {
			l.Who = e.Tokens[p.From].source()
		}
		l.Pieces = append(l.Pieces, p)
		if n := len(p.Text); n > 0 && p.Text[n-1] == '\n' {
			open, who = false, nobody
		}
	}
	return out
}

// opening takes from the end of a line what the template writes before the words of another message: the last special
// token and what follows it, or only that where the token ends a turn.
func (r *Reader) opening(l *Line, tokens []Token) []Piece {
	for i := len(l.Pieces) - 1; i > 0; i-- {
		p := l.Pieces[i]
		if p.From == p.To || tokens[p.From].Words {
			return nil
		}
		if t := &tokens[p.From]; t.Special {
			_, eos, ok := r.o.Tokenizer.EOS()
			if ok && t.ID == eos || slices.Contains(r.o.Stops, t.ID) {
				i++
			}
			moved := slices.Clone(l.Pieces[i:])
			l.Pieces = l.Pieces[:i]
			return moved
		}
	}
	return nil
}

// name is whose words those of a message, or of a field of no message, are.
func name(c data.Conversation, message int, field string) string {
	if message < 0 || message >= len(c.Messages) {
		return field
	}
	return strconv.Itoa(message) + " " + c.Messages[message].Role
}

// rules say, by the token that they stand above, where an example is cut.
func (r *Reader) rules(e *Example) map[int]string {
	names := r.o.Names.OrKeys()
	rules := map[int]string{}
	switch n := len(e.Tokens); {
	case e.Cut.Dropped > 0:
		rules[0] = fmt.Sprintf("left out: %d tokens, %s is %d", n, names.MaxLength, r.o.MaxLength)
	case e.Cut.Cut > 0:
		rules[e.Parts[0].To] = fmt.Sprintf("cut here: %s is %d", names.MaxLength, r.o.MaxLength)
	case e.Cut.Split > 0:
		for i, p := range e.Parts {
			if p.From > 0 {
				rules[p.From+1] = fmt.Sprintf("part %d of %d, from the token before here on", i+1, len(e.Parts))
			}
			if p.To < n && (i+1 == len(e.Parts) || e.Parts[i+1].From >= p.To) {
				rules[p.To] = "left out: no part in which anything is learnt"
			}
		}
		if e.Parts[0].From > 0 {
			rules[0] = "left out: no part in which anything is learnt"
		}
	case e.Cut.Kept == 0 && r.o.MaxLength > 0 && n > r.o.MaxLength:
		rules[r.o.MaxLength] = fmt.Sprintf("too long from here on: %s is %d", names.MaxLength, r.o.MaxLength)
	}
	return rules
}
