// Command compile makes the kernels of attune-cuda: every .cu file of kernels/cuda by NVRTC, for each architecture, into the
// archives of kernels/cuda/cubin, with a report of the registers and spills of each kernel. It needs neither a GPU nor a
// driver. Files named *_sm90.cu are compiled for sm_90a alone. A kernel in a paragraph of its file that has a line
// beginning with "// hot" must keep all it has in registers: compile fails where one spills.
//
// Results are kept by the hash of all that went into them, so that a second run compiles what changed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"attune/kernels/cuda/cubin"

	"golang.org/x/sync/errgroup"
)

func main() {
	var o options
	var only string
	flag.StringVar(&o.nvrtc, "nvrtc", os.Getenv("ATTUNE_NVRTC"), "libnvrtc.so.12 (ATTUNE_NVRTC)")
	flag.StringVar(&o.source, "source", "kernels/cuda", "directory of the .cu files")
	flag.StringVar(&o.out, "o", "kernels/cuda/cubin", "directory that gets report.tsv and archives/")
	flag.StringVar(&o.cache, "cache", ".cache/cuda/obj", "directory where results are kept")
	flag.StringVar(&only, "only", "", "compile the files whose names match this regular expression, print the report and write nothing")
	flag.IntVar(&o.parallel, "j", 2, "how many compile at a time")
	flag.Parse()
	err := func() (err error) {
		if o.only, err = regexp.Compile(only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
		if flag.NArg() > 0 {
			return fmt.Errorf("no arguments are taken, got %q", flag.Args())
		}
		return run(o)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compile:", err)
		os.Exit(1)
	}
}

type options struct {
	nvrtc, source, out, cache string
	only                      *regexp.Regexp
	parallel                  int
}

// result is one file compiled for one architecture.
type result struct {
	source *source
	arch   string
	image  []byte
	uses   []usage
}

func run(o options) error {
	if o.nvrtc == "" {
		return errors.New(`no compiler: name it by -nvrtc or ATTUNE_NVRTC, as eval "$(scripts/cuda-toolchain.sh)" does`)
	}
	c, err := openCompiler(o.nvrtc)
	if err != nil {
		return err
	}
	sources, err := readSources(o.source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return err
	}
	var results []*result
	for _, s := range sources {
		for _, arch := range cubin.Architectures {
			if o.only.MatchString(s.name) && s.runsOn(arch) {
				results = append(results, &result{source: s, arch: arch})
			}
		}
	}
	var group errgroup.Group
	group.SetLimit(o.parallel)
	told := progress{all: len(results), start: time.Now()}
	failed := make([]error, len(results)) // every error is told, in the order of the files
	for i, r := range results {
		group.Go(func() error {
			failed[i] = r.make(c, o.cache)
			told.one(r)
			return nil
		})
	}
	_ = group.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	report, spilled := report(results)
	if o.only.String() != "" {
		fmt.Print(report)
		return spilled
	}
	if err := unambiguous(results); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(o.out, "archives"), 0o755); err != nil {
		return err
	}
	if err := replace(filepath.Join(o.out, "report.tsv"), []byte(report)); err != nil {
		return err
	}
	if spilled != nil {
		return spilled
	}
	for _, arch := range cubin.Architectures {
		if err := archive(filepath.Join(o.out, "archives", arch+".zip"), results, arch); err != nil {
			return err
		}
	}
	fmt.Printf("%severy kernel: %s\n", summary(results), filepath.Join(o.out, "report.tsv"))
	return nil
}

// progress tells on standard error what was compiled, from two seconds on; what was kept takes no time.
type progress struct {
	mu        sync.Mutex
	done, all int
	start     time.Time
}

func (p *progress) one(r *result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if time.Since(p.start) > 2*time.Second {
		fmt.Fprintf(os.Stderr, "compiled %d of %d: %s for %s\n", p.done, p.all, r.source.name, r.arch)
	}
}

// make compiles, or takes what is kept.
func (r *result) make(c *compiler, cache string) error {
	ptx := r.arch == cubin.PTX
	flags := []string{"--gpu-architecture=" + r.arch, "--std=c++17", "--fmad=false", "--generate-line-info"}
	if !ptx { // PTX is without registers
		flags = append(flags, "--ptxas-options=-v", "--ptxas-options=--warn-on-spills")
	}
	image, log, err := kept(cache, r.source.hash(c.version, flags), func() ([]byte, string, error) {
		return c.compile(r.source.name, r.source.text, append(flags, "--include-path="+r.source.dir), ptx)
	})
	if err != nil {
		return fmt.Errorf("%s for %s: %w\n%s", r.source.name, r.arch, err, log)
	}
	r.image = image
	if ptx {
		return nil
	}
	if r.uses, err = usages(log); err != nil {
		return fmt.Errorf("%s for %s: %w in the compiler's log:\n%s", r.source.name, r.arch, err, log)
	}
	return nil
}

// unambiguous refuses two kernels of one name, since they are launched by it, and marks of heat where there is no kernel.
func unambiguous(results []*result) error {
	in := map[string]string{}
	for _, r := range results {
		functions, err := cubin.Functions(r.image)
		if err != nil {
			return fmt.Errorf("%s for %s: %w", r.source.name, r.arch, err)
		}
		for _, f := range functions {
			if other := in[r.arch+" "+f]; other != "" {
				return fmt.Errorf("kernel %s is in %s and in %s", f, other, r.source.name)
			}
			in[r.arch+" "+f] = r.source.name
		}
		for name := range r.source.hot {
			if !slices.Contains(functions, name) {
				return fmt.Errorf("%s: %s is marked hot and not among the kernels compiled (%s)", r.source.name, name, strings.Join(functions, " "))
			}
		}
	}
	return nil
}
