package main

import (
	"fmt"
	"runtime"

	"attune/engine/session"

	"github.com/spf13/cobra"
)

// diagnosis is what a run would find on this machine.
type diagnosis struct {
	Attune     buildInfo `json:"attune"`
	Cores      int       `json:"cores"`
	MemoryFree *int64    `json:"memory_free_bytes,omitempty"` // nil = the system does not say
	Device     string    `json:"device"`
	Why        string    `json:"why"`
	Dtype      string    `json:"dtype"`
	Tuned      bool      `json:"tuned_kernels"`
}

func newDoctor(s streams) *cobra.Command {
	var asJSON bool
	var device string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this machine has and what a run would use of it",
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return runDoctor(s, device, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().StringVar(&device, "device", "auto", "device to look for: auto, cpu or cuda")
	return cmd
}

func runDoctor(s streams, device string, asJSON bool) error {
	d, err := session.OpenDevice(device, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	x, err := diagnose(d)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(s.out, x)
	}
	_, err = fmt.Fprint(s.out, x)
	return err
}

func diagnose(d *session.Device) (diagnosis, error) {
	free, err := memoryFree(d)
	if err != nil {
		return diagnosis{}, fmt.Errorf("ask for free memory: %w", err)
	}
	dt, err := d.Dtype("auto")
	if err != nil {
		return diagnosis{}, err
	}
	x := diagnosis{Attune: readBuildInfo(), Cores: runtime.GOMAXPROCS(0), Device: d.Name(), Why: d.Why, Dtype: dt.String(), Tuned: d.Tuned}
	if free != unlimited {
		x.MemoryFree = &free
	}
	return x, nil
}

func (x diagnosis) String() string {
	memory := "unknown"
	if x.MemoryFree != nil {
		memory = fmt.Sprintf("%.1f GiB", float64(*x.MemoryFree)/(1<<30))
	}
	text := fmt.Sprintf("%s\ncores        %d\nmemory free  %s\ndevice       %s (%s)\ndtype        auto means %s here\n",
		x.Attune, x.Cores, memory, x.Device, x.Why, x.Dtype)
	if !x.Tuned {
		text += "kernels      plain Go: this build has no C kernels; build with gcc and CGO_ENABLED=1 for many times the speed\n"
	}
	return text
}
