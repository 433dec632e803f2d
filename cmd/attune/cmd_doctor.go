package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"attune/engine/session"
	"attune/internal/nvidia"

	"github.com/spf13/cobra"
)

// diagnosis is what a run would find on this machine.
type diagnosis struct {
	Attune     buildInfo        `json:"attune"`
	Cores      int              `json:"cores"`
	MemoryFree *int64           `json:"memory_free_bytes,omitempty"` // nil = the system does not say
	Device     string           `json:"device"`
	Why        string           `json:"why"`
	Dtype      string           `json:"dtype"`
	Tuned      bool             `json:"tuned_kernels"`
	Driver     *driverDiagnosis `json:"driver,omitempty"` // nil = there is none
	GPUs       []gpuDiagnosis   `json:"gpus"`
	CublasLt   []libraryVersion `json:"cublaslt"` // those that open, the one a run takes first
	CUDA       cudaDiagnosis    `json:"cuda"`
	Warning    string           `json:"warning,omitempty"`
}

type driverDiagnosis struct {
	Release string `json:"release,omitempty"`
	CUDA    string `json:"cuda,omitempty"`
}

type gpuDiagnosis struct {
	Name       string `json:"name"`
	Capability string `json:"compute_capability"`
	Memory     int64  `json:"memory_bytes"`
}

type libraryVersion struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// cudaDiagnosis is whether device cuda can be had.
type cudaDiagnosis struct {
	Usable  bool   `json:"usable"`
	Why     string `json:"why,omitempty"` // not
	Program string `json:"program,omitempty"`
}

type doctorOptions struct {
	device        string
	probe, asJSON bool
}

func newDoctor(s streams) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this machine has and what a run would use of it",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), s, o) },
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "as JSON")
	cmd.Flags().StringVar(&o.device, "device", "auto", "device to look for: auto, cpu or cuda")
	cmd.Flags().BoolVar(&o.probe, "probe", false, "ask for GPUs without opening one, which takes some of its memory: for health checks beside a run")
	return cmd
}

func runDoctor(ctx context.Context, s streams, o doctorOptions) error {
	if err := knownDevice(o.device); err != nil {
		return err
	}
	found := searchGPUs()
	if !o.probe {
		if err := handOverTo(ctx, s, o.device, found); err != nil {
			return err
		}
	}
	device := o.device
	if o.probe && device != "cpu" {
		switch {
		case found.err == nil:
			return o.print(s, probed(found))
		case device == "cuda":
			return found.refuse()
		}
	}
	d, err := session.OpenDevice(device, 0)
	if err != nil && found.err == nil && slices.Contains([]string{"cuda", "auto", ""}, device) { // which is why one asks a doctor
		x := probed(found)
		x.Why, x.CUDA.Usable, x.CUDA.Why = "which cannot be opened", false, harmless(err.Error())
		return errors.Join(o.print(s, x), err)
	}
	if err != nil {
		return err
	}
	defer d.Close()
	x, err := diagnose(d)
	if err != nil {
		return err
	}
	if (device == "auto" || device == "") && found.err != nil {
		x.Why = harmless(found.err.Error())
	}
	x.add(found)
	return o.print(s, x)
}

func (o doctorOptions) print(s streams, x diagnosis) error {
	if o.asJSON {
		return writeJSON(s.out, x)
	}
	_, err := fmt.Fprint(s.out, x)
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
	x := diagnosis{Attune: readBuildInfo(), Cores: runtime.GOMAXPROCS(0), Device: d.Name(), Why: d.Why, Dtype: dt.String(), Tuned: d.Tuned, Warning: d.Warning}
	if free != unlimited {
		x.MemoryFree = &free
	}
	return x, nil
}

// probed is the diagnosis of a machine whose GPU would be taken, and is not.
func probed(found gpuSearch) diagnosis {
	x := diagnosis{Attune: readBuildInfo(), Cores: runtime.GOMAXPROCS(0), Device: "cuda " + harmless(found.driver.GPUs[0].Name), Why: "not opened",
		Dtype: "bfloat16", Tuned: true}
	x.add(found)
	return x
}

// add has what was found of NVIDIA's.
func (x *diagnosis) add(found gpuSearch) {
	x.GPUs, x.CublasLt = []gpuDiagnosis{}, []libraryVersion{}
	x.CUDA = cudaDiagnosis{Usable: found.err == nil, Program: found.program}
	if found.err != nil {
		x.CUDA.Why = found.why()
	}
	if found.driver.CUDA == 0 {
		return
	}
	x.Driver = &driverDiagnosis{found.driver.Release, found.driver.CUDA.String()}
	for _, g := range found.driver.GPUs {
		x.GPUs = append(x.GPUs, gpuDiagnosis{harmless(g.Name), g.Capability(), g.Memory})
	}
	for _, name := range nvidia.CublasLt(found.driver.CUDA) {
		if l, err := nvidia.Inspect(name); err == nil && !slices.Contains(x.CublasLt, libraryVersion(l)) {
			x.CublasLt = append(x.CublasLt, libraryVersion(l))
		}
	}
	for _, dir := range filepath.SplitList(os.Getenv(nvidia.LibrariesEnv)) {
		if !slices.ContainsFunc(x.CublasLt, func(l libraryVersion) bool { return filepath.Dir(l.Path) == filepath.Clean(dir) }) {
			x.Warning = strings.TrimPrefix(x.Warning+"; no cuBLASLt that this driver takes opens in "+dir+", which "+nvidia.LibrariesEnv+" names", "; ")
		}
	}
}

func (x diagnosis) String() string {
	memory := "unknown"
	if x.MemoryFree != nil {
		memory = gib(*x.MemoryFree)
	}
	text := fmt.Sprintf("%s\ncores        %d\nmemory free  %s\ndevice       %s (%s)\ndtype        auto means %s here\n",
		x.Attune, x.Cores, memory, x.Device, x.Why, x.Dtype)
	if !x.Tuned {
		text += "kernels      plain Go: this build has no C kernels; build with gcc and CGO_ENABLED=1 for many times the speed\n"
	}
	if x.Warning != "" {
		text += "warning      " + x.Warning + "\n"
	}
	if x.Driver == nil {
		return text
	}
	text += fmt.Sprintf("driver       %s, CUDA up to %s\n", cmp.Or(x.Driver.Release, "of unknown release"), x.Driver.CUDA)
	for i, g := range x.GPUs {
		text += fmt.Sprintf("gpu %-8d %s, compute capability %s, %s\n", i, g.Name, g.Capability, gib(g.Memory))
	}
	for _, l := range x.CublasLt {
		text += fmt.Sprintf("cublaslt     %s, %s\n", l.Version, l.Path)
	}
	if x.CUDA.Usable {
		return text + "cuda         usable, by " + x.CUDA.Program + "\n"
	}
	return text + "cuda         not usable: " + x.CUDA.Why + "\n"
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
