package tokenizer

import "strings"

// wordPieceDecoder puts a blank before each token but the first and those that go on with a word.
type wordPieceDecoder struct {
	prefix  string // of tokens that go on with a word
	cleanup bool   // takes out the blanks before marks and English short forms
}

func (d wordPieceDecoder) begin() decodeState { return &wordPieceState{step: d, first: true} }

type wordPieceState struct {
	step  wordPieceDecoder
	first bool
}

func (d *wordPieceState) token(s string, emit func(string)) {
	if !d.first {
		rest, goesOn := strings.CutPrefix(s, d.step.prefix)
		if s = rest; !goesOn {
			s = " " + s
		}
	}
	d.first = false
	if d.step.cleanup {
		s = cleanUp(s)
	}
	emit(s)
}

func (*wordPieceState) end(func(string)) {}

// cleanUp takes out blanks that cutting English into words left, in a token for itself as the tokenizers library does.
func cleanUp(s string) string {
	for _, x := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"},
		{" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		s = strings.ReplaceAll(s, x[0], x[1])
	}
	return s
}

// endOfWordDecoder (BPEDecoder) makes a blank of what marks the end of a word, of the last token nothing.
type endOfWordDecoder struct{ suffix string }

func (d endOfWordDecoder) begin() decodeState { return &endOfWordState{step: d} }

type endOfWordState struct {
	step endOfWordDecoder
	held string // a token with the suffix, of which it is not known whether it is the last
	has  bool
}

func (d *endOfWordState) token(s string, emit func(string)) {
	d.release(" ", emit)
	if strings.Contains(s, d.step.suffix) {
		d.held, d.has = s, true
		return
	}
	emit(s)
}

func (d *endOfWordState) release(blank string, emit func(string)) {
	if d.has {
		emit(strings.ReplaceAll(d.held, d.step.suffix, blank))
	}
	d.held, d.has = "", false
}

func (d *endOfWordState) end(emit func(string)) { d.release("", emit) }

// ctcDecoder (connectionist temporal classification) drops repetitions of a token and the padding between tokens.
type ctcDecoder struct {
	pad, delimiter string
	cleanup        bool
}

func (d ctcDecoder) begin() decodeState { return &ctcState{step: d} }

type ctcState struct {
	step ctcDecoder
	last string
	any  bool
}

func (d *ctcState) token(s string, emit func(string)) {
	if d.any && s == d.last {
		return
	}
	d.last, d.any = s, true
	s = strings.ReplaceAll(s, d.step.pad, "")
	if d.step.cleanup {
		s = strings.ReplaceAll(cleanUp(s), d.step.delimiter, " ")
	}
	if s != "" {
		emit(s)
	}
}

func (*ctcState) end(func(string)) {}
