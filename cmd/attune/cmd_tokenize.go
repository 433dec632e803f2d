package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"attune/data/tokenizer"

	"github.com/spf13/cobra"
)

func newTokenize(s streams) *cobra.Command {
	var dir string
	var jsonl, special bool
	cmd := &cobra.Command{
		Use:   "tokenize --tokenizer DIR --jsonl",
		Short: "Give a text's token ids as Hugging Face tokenizers does",
		Long: `tokenize prints the tokens of standard input, an id and its text a line. With --jsonl it reads {"text", "special"} a line and
answers each with {"ids", "decoded"}, or {"error"} where the tokenizer cannot encode the text. special: the tokenizer's own
begin and end tokens are added. Text of special tokens is recognised as such in either case.

A line that is no such object is answered by what is wrong with it; the exit code is 3 then, once the others are answered.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case dir == "":
				return usagef("no tokenizer; give its directory with --tokenizer DIR")
			case jsonl && special:
				return usagef(`with --jsonl each line says "special" for itself`)
			}
			if err := isDirectory(dir); err != nil {
				return err
			}
			tok, err := tokenizer.Load(dir)
			if err != nil {
				return err
			}
			if jsonl {
				return answerLines(cmd.Context(), s, func(a *asks, line []byte) (any, error) { return tokenizeLine(tok, a, line) })
			}
			return tokenizeText(s, tok, special)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "tokenizer", "", "directory with a tokenizer.json")
	f.BoolVar(&jsonl, "jsonl", false, "one JSON object a line, and an answer a line")
	f.BoolVar(&special, "special", false, "add the tokenizer's own begin and end tokens")
	return cmd
}

// tokenized is the answer to a line.
type tokenized struct {
	IDs     []int32 `json:"ids"`
	Decoded string  `json:"decoded"` // of all ids, special ones too
}

// tokenizeLine encodes the text of one line. The error is about the line.
func tokenizeLine(tok *tokenizer.Tokenizer, a *asks, line []byte) (any, error) {
	var text *string
	var special bool
	if err := a.read(line, fields{"text": &text, "special": &special}); err != nil {
		return nil, err
	}
	if text == nil {
		return nil, errors.New(`there is no "text" in it`)
	}
	e, err := tok.Encode(*text, tokenizer.Options{AddSpecial: special})
	if err != nil {
		return lineError{err.Error()}, nil
	}
	return tokenized{append([]int32{}, e.IDs...), tok.Decode(e.IDs, false)}, nil
}

// tokenizeText shows the tokens of standard input.
func tokenizeText(s streams, tok *tokenizer.Tokenizer, special bool) error {
	raw, err := io.ReadAll(s.in)
	if err != nil {
		return fmt.Errorf("read %s: %w", stdinName, err)
	}
	e, err := tok.Encode(string(raw), tokenizer.Options{AddSpecial: special})
	if err != nil {
		return err
	}
	w := bufio.NewWriter(s.out)
	for i, id := range e.IDs {
		covered := string(raw[e.Offsets[i].Start:e.Offsets[i].End])
		if covered == "" {
			covered, _ = tok.Token(id)
		}
		fmt.Fprintf(w, "%7d  %q\n", id, covered) // an error stays in w
	}
	return w.Flush()
}
