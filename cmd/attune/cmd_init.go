package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"attune/internal/config"
	"attune/internal/disk"

	"github.com/spf13/cobra"
)

// initOptions are the flags of `attune init`.
type initOptions struct {
	model, train, eval, runDir string
	force                      bool
}

func newInit(s streams) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init [run.yaml]",
		Short: "Write a run file with every key, its default and what it means",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("init takes one file name, got %q", args)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			path := "run.yaml"
			if len(args) == 1 {
				path = args[0]
			}
			return runInit(s, path, o)
		},
	}
	cmd.Flags().StringVar(&o.model, "model", "path/to/hf-dir", "Hugging Face model directory")
	cmd.Flags().StringVar(&o.train, "train", "rows.jsonl", "rows to train on")
	cmd.Flags().StringVar(&o.eval, "eval", "", "held-out rows")
	cmd.Flags().StringVar(&o.runDir, "run-dir", "runs/my-run", "directory of the run")
	cmd.Flags().BoolVar(&o.force, "force", false, "write over an existing file")
	return cmd
}

func runInit(s streams, path string, o initOptions) error {
	if ext := filepath.Ext(path); ext != ".yaml" && ext != ".yml" {
		return usagef("init writes YAML; name a .yaml file, not %s", path)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) && !o.force {
		return usagef("%s is there already; name another file, or --force to write over it", path)
	}
	here, err := workingDir()
	if err != nil {
		return fmt.Errorf("write run file: %w", err)
	}
	base := filepath.Dir(path)
	c := config.Default()
	c.Model, c.RunDir = fromFile(here, base, o.model), fromFile(here, base, o.runDir)
	c.Data.Train = []config.Source{{Path: fromFile(here, base, o.train), Format: "auto", Weight: 1, Repeat: 1}}
	if o.eval != "" {
		c.Data.Eval = []config.Source{{Path: fromFile(here, base, o.eval), Format: "auto", Weight: 1, Repeat: 1}}
	}
	head := "# attune run file. Check it: attune plan -c " + path + "   Run it: attune train -c " + path + "\n" +
		"# Paths are relative to this file. model, data.train and run_dir must be there and data.eval may be; any other key that\n" +
		"# is left out has the value shown here.\n\n"
	if err := disk.WriteFile(disk.OS(), path, append([]byte(head), c.YAML(true)...)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "wrote %s\n", path)
	return err
}

// workingDir is where one stands, with no link in it: .. is the directory above then.
func workingDir() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(wd)
}

// fromFile rewrites a path of the command line, relative to where one stands, to be relative to the run file's directory
// dir, or absolute where no path leads from there.
func fromFile(here, dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(here, dir)
	}
	path = filepath.Join(here, path)
	if rel, err := filepath.Rel(dir, path); err == nil {
		return rel
	}
	return path
}
