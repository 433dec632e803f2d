package main

import (
	"errors"
	"fmt"
	"strings"

	"attune/engine/model"
	"attune/internal/disk"
	"attune/kernels"

	"github.com/spf13/cobra"
)

func newNewModel(s streams) *cobra.Command {
	var o model.NewOptions
	var dtype string
	cmd := &cobra.Command{
		Use:   "new-model DIR",
		Short: "Make a small random model with a byte-level tokenizer, for demos and tests",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("new-model takes the directory to write, got %q", args)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			switch dtype {
			case "float32":
				o.Dtype = kernels.Float32
			case "bfloat16":
				o.Dtype = kernels.BFloat16
			case "float16":
				o.Dtype = kernels.Float16
			default:
				return usagef("--dtype %q: there are float32, bfloat16, float16", dtype)
			}
			if err := model.New(disk.OS(), args[0], o); errors.Is(err, model.ErrRefused) {
				return asUsage(err)
			} else if err != nil {
				return err
			}
			c, err := model.ReadConfig(args[0])
			if err != nil {
				return err
			}
			n, err := c.Parameters()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.out, "wrote %s: %s, %d layers, hidden %d, vocabulary %d, %d parameters\n",
				args[0], c.ModelType, c.NumHiddenLayers, c.HiddenSize, c.VocabSize, n)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.ModelType, "model-type", "llama", "architecture: "+strings.Join(model.Types(), ", "))
	f.IntVar(&o.HiddenSize, "hidden-size", 64, "width of the model")
	f.IntVar(&o.IntermediateSize, "intermediate-size", 0, "feed-forward size (0: 8/3 of the hidden size)")
	f.IntVar(&o.NumHiddenLayers, "num-hidden-layers", 2, "layers")
	f.IntVar(&o.NumAttentionHeads, "num-attention-heads", 0, "query heads (0: one for each 16 of the hidden size)")
	f.IntVar(&o.NumKeyValueHeads, "num-key-value-heads", 0, "key and value heads (0: as many as query heads)")
	f.IntVar(&o.HeadDim, "head-dim", 0, "width of a head (0: hidden size / heads)")
	f.IntVar(&o.MaxPositionEmbeddings, "max-position-embeddings", 2048, "longest context")
	f.IntVar(&o.SlidingWindow, "sliding-window", 0, "tokens that a token attends to, where the architecture has a window (0: all)")
	f.BoolVar(&o.Untied, "untied", false, "an output head of its own instead of the embedding's weights")
	f.Float64Var(&o.InitializerRange, "initializer-range", 0.02, "standard deviation of the random matrices")
	f.StringVar(&dtype, "dtype", "float32", "float32, bfloat16 or float16")
	f.Uint64Var(&o.Seed, "seed", 1, "of the random weights")
	return cmd
}
