package main

import (
	"attune/internal/config"

	"github.com/spf13/cobra"
)

// runFileFlags are the flags of every command that reads a run file.
type runFileFlags struct {
	file string
	sets []string
}

func (f *runFileFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "run file (.yaml, .toml or .json)")
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "override one key, as in --set train.epochs=2 (repeatable)")
}

func (f *runFileFlags) load() (config.Config, error) {
	if f.file == "" && len(f.sets) == 0 {
		return config.Config{}, usagef("no run file; give one with -c run.yaml (`attune init` writes one)")
	}
	return config.Load(f.file, f.sets)
}

func newConfig(s streams) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show the run file as it is understood, or its schema", Args: knownCommand, RunE: showHelp}

	var flags runFileFlags
	var asJSON bool
	show := &cobra.Command{
		Use:   "show -c run.yaml",
		Short: "Print the run file with every default and override filled in",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := flags.load()
			if err != nil {
				return err
			}
			c.Absolute() // what is shown may be saved anywhere
			if asJSON {
				return writeJSON(s.out, c.Map())
			}
			_, err = s.out.Write(c.YAML(false))
			return err
		},
	}
	flags.add(show)
	show.Flags().BoolVar(&asJSON, "json", false, "as JSON")

	schema := &cobra.Command{
		Use:   "schema",
		Short: "Print the run file's JSON Schema, for editors",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := s.out.Write(config.Schema())
			return err
		},
	}
	cmd.AddCommand(show, schema)
	return cmd
}
