package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is what `attune version` and every artefact say; a release build sets it with -ldflags "-X main.version=1.2.3".
var version = "dev"

// sources is the beginning of the SHA-256 of all source files, where make built the program.
var sources string

// buildInfo tells which program this is.
type buildInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Sources  string `json:"sources,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Gorgonia string `json:"gorgonia,omitempty"`
}

func readBuildInfo() buildInfo {
	b := buildInfo{Version: version, Sources: sources, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, d := range info.Deps {
		if d.Path == "gorgonia.org/gorgonia" {
			b.Gorgonia = d.Version
		}
	}
	return b
}

func (b buildInfo) String() string {
	var of []string
	if b.Commit != "" {
		of = append(of, b.Commit[:min(12, len(b.Commit))])
		if b.Modified {
			of = append(of, "modified")
		}
	}
	if b.Sources != "" {
		of = append(of, "sources "+b.Sources)
	}
	s := "attune " + b.Version
	if of != nil {
		s += " (" + strings.Join(of, ", ") + ")"
	}
	return s + " " + b.Go + " " + b.Platform
}

func newVersion(s streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return writeJSON(s.out, readBuildInfo())
			}
			_, err := fmt.Fprintln(s.out, readBuildInfo())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// writeJSON prints v as one indented JSON document.
func writeJSON(w interface{ Write([]byte) (int, error) }, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
