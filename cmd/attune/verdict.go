package main

import (
	"bytes"
	"fmt"
	"strings"

	"attune/engine/eval"
)

// exactMatch is the share of the answers that are right, nil of none: JSON has no 0/0.
func exactMatch(answers []eval.Answer) *float64 {
	if len(answers) == 0 {
		return nil
	}
	share := float64(eval.Matches(answers)) / float64(len(answers))
	return &share
}

// printVerdicts shows how base and tuned model did, with samples of their answers; limit is the name of the setting for the
// longest example.
func printVerdicts(s streams, vs []verdict, limit string, samples int) error {
	var b bytes.Buffer
	names, rows := []string{"base", "tuned"}, 0
	for _, r := range vs[0].Rows {
		printRows(&b, "rows", limit, r)
		rows += r.Rows
	}
	for i, v := range vs {
		fmt.Fprintf(&b, "%-6s loss %.4f over %d tokens", names[i], v.Loss, v.Tokens)
		if v.Exact != nil {
			fmt.Fprintf(&b, ", %d of %d answers exactly right (%.1f %%)", eval.Matches(v.Answers), len(v.Answers), 100**v.Exact)
			if len(v.Answers) < rows {
				fmt.Fprintf(&b, ", of the first of %d rows", rows)
			}
		}
		fmt.Fprintln(&b)
	}
	for i := range min(samples, len(vs[0].Answers)) {
		a := vs[0].Answers[i]
		fmt.Fprintf(&b, "\nrow      %s\nexpected %s\n", oneLine(a.Prompt), oneLine(a.Expected))
		for k, v := range vs {
			fmt.Fprintf(&b, "%-8s %s\n", names[k], oneLine(v.Answers[i].Got))
		}
	}
	_, err := s.out.Write(b.Bytes())
	return err
}

// oneLine shows a text in a line of its own.
func oneLine(t string) string {
	t = strings.ReplaceAll(strings.TrimSpace(t), "\n", `\n`)
	if r := []rune(t); len(r) > 100 {
		t = string(r[:100]) + "..."
	}
	return t
}
