package main

import (
	"attune/engine/generate"

	"github.com/spf13/cobra"
)

// samplingFlags are the flags of every command that has a model write.
type samplingFlags struct {
	greedy      bool
	temperature float64
	topP        float64
	seed        uint64
	maxNew      int
}

func (f *samplingFlags) add(cmd *cobra.Command, maxNew int) {
	fs := cmd.Flags()
	fs.BoolVar(&f.greedy, "greedy", false, "always the most likely token (the same as --temperature 0)")
	fs.Float64Var(&f.temperature, "temperature", 0.7, "of sampling: under 1 likely tokens come oftener, over 1 rarer; 0 = greedy")
	fs.Float64Var(&f.topP, "top-p", 0.95, "nucleus sampling: the most likely tokens with this probability together")
	fs.Uint64Var(&f.seed, "seed", 1, "of sampling; each further prompt or turn takes the next one")
	fs.IntVar(&f.maxNew, "max-new-tokens", maxNew, "most tokens of one answer")
}

func (f *samplingFlags) check() error {
	switch {
	case f.maxNew < 1:
		return usagef("--max-new-tokens %d; it must be at least 1", f.maxNew)
	case !(f.temperature >= 0):
		return usagef("--temperature %g; it must not be negative", f.temperature)
	case !(f.topP > 0 && f.topP <= 1):
		return usagef("--top-p %g; it must be over 0 and at most 1", f.topP)
	}
	return nil
}

// sampling is that of answer number i, from 0: the same question again has another answer.
func (f *samplingFlags) sampling(i int) generate.Sampling {
	s := generate.Sampling{Temperature: f.temperature, TopP: f.topP, Seed: f.seed + uint64(i)}
	if f.greedy {
		s.Temperature = 0
	}
	return s
}
