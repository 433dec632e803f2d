package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"attune/data"
	"attune/data/chat"
)

// Line is a line of a text: up to a line end, or to where another state begins or the words of another message.
type Line struct {
	Rule   string // what is to be said above it: a cut, the begin of a part; "" = nothing
	Who    string // whose words it holds, as "1 user"; "template" where it is plain text of that, or that's alone; "" for its white space
	State  State
	Pieces []Piece
}

// Piece is a run of bytes that cannot be taken apart between tokens, with the tokens it stands for: one, several where
// they meet within a character, none where the tokenizer leaves bytes out. A token that goes on behind a line end, or from
// a message's words into what the template writes, has several pieces.
type Piece struct {
	From, To int    // of the example's Tokens
	Text     string // "" for a token that stands for no bytes
}

// pieces cuts a text along its tokens, behind each line end, and where one of the runs begins or ends.
func pieces(text string, tokens []Token, runs []chat.Span) []Piece {
	var out []Piece
	at := 0
	add := func(from, to, end int) {
		first := len(out)
		for start := at; start < end; start = at {
			for len(runs) > 0 && runs[0].End <= at {
				runs = runs[1:]
			}
			stop := end
			if len(runs) > 0 && runs[0].Start <= at {
				stop = min(end, runs[0].End)
			} else if len(runs) > 0 {
				stop = min(end, runs[0].Start)
			}
			for at < stop && text[at] != '\n' {
				at++
			}
			at = min(at+1, stop)
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

// Who a line belongs to where it holds no message's words; -1 is a text of no message: tools, the system prompt.
const (
	nobody = -2 // white space and special tokens of the template
	markup = -3 // plain text of the template
)

// lines lays an example out.
func (r *Reader) lines(c data.Conversation, e *Example) []Line {
	var out []Line
	rules := r.rules(e)
	who := nobody // of the open line
	open := false
	state := Read
	written, at := e.written(), 0
	for _, p := range pieces(e.Text, e.Tokens, written) {
		owner, label := nobody, ""
		in := chat.Span{Start: at, End: at + len(p.Text)}
		at = in.End
		for len(written) > 0 && written[0].End <= in.Start {
			written = written[1:]
		}
		if p.From < p.To {
			state = e.Tokens[p.From].State
			if o, words := origin(e.Origins, in); len(written) > 0 && written[0].Start < in.End {
				owner, label = markup, "template"
			} else if words {
				owner, label = o.Message, o.Field
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
			if open && other && who != markup && !ruled && out[len(out)-1].State == state {
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
