package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"attune/kernels/cuda/cubin"
)

// usage is what a kernel takes of a multiprocessor, by the compiler's word: registers a thread, and bytes.
type usage struct {
	kernel                                                  string
	registers, stack, spillStores, spillLoads, sharedMemory int
}

var (
	entryLine  = regexp.MustCompile(`Compiling entry function '(\w+)' for`)
	spillLine  = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	usedLine   = regexp.MustCompile(`Used (\d+) registers`)
	sharedLine = regexp.MustCompile(`(\d+) bytes smem`)
	serialized = regexp.MustCompile(`wgmma\S* instructions are serialized.*`)
)

// usages reads the log of ptxas -v: for each kernel a line that names it, one of its stack, one of its registers. Functions
// that were not inlined have lines of their own, whose bytes count for the kernel they follow.
func usages(log string) ([]usage, error) {
	if m := serialized.FindString(log); m != "" {
		return nil, fmt.Errorf("wgmma is serialized, which loses what it is there for (%s)", m)
	}
	var list []usage
	for _, line := range strings.Split(log, "\n") {
		if m := entryLine.FindStringSubmatch(line); m != nil {
			list = append(list, usage{kernel: m[1]})
			continue
		}
		if len(list) == 0 {
			continue
		}
		u := &list[len(list)-1]
		if m := spillLine.FindStringSubmatch(line); m != nil {
			u.stack += number(m[1])
			u.spillStores += number(m[2])
			u.spillLoads += number(m[3])
		}
		if m := usedLine.FindStringSubmatch(line); m != nil {
			u.registers = number(m[1])
			if m := sharedLine.FindStringSubmatch(line); m != nil {
				u.sharedMemory = number(m[1])
			}
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no kernel")
	}
	for _, u := range list {
		if u.registers == 0 {
			return nil, fmt.Errorf("no registers of %s", u.kernel)
		}
	}
	return list, nil
}

func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil { // the compiler never says so much
		return 1<<31 - 1
	}
	return n
}

// report is a table of all kernels, and an error where a hot one spills or has an array that is not in registers.
func report(results []*result) (table string, spilled error) {
	var b strings.Builder
	var bad []error
	fmt.Fprintln(&b, "kernel\tarch\tregisters\tstack_bytes\tspill_store_bytes\tspill_load_bytes\tstatic_shared_bytes\thot")
	for _, r := range results {
		for _, u := range r.uses {
			hot := r.source.hot[u.kernel]
			fmt.Fprintf(&b, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%t\n", u.kernel, r.arch, u.registers, u.stack, u.spillStores, u.spillLoads, u.sharedMemory, hot)
			if hot && u.stack+u.spillStores+u.spillLoads > 0 {
				bad = append(bad, fmt.Errorf("%s: kernel %s is marked hot and takes local memory on %s: %d bytes, %d stored and %d loaded by spills",
					r.source.name, u.kernel, r.arch, u.stack, u.spillStores, u.spillLoads))
			}
		}
	}
	return b.String(), errors.Join(bad...)
}

// summary is one line of it for each architecture.
func summary(results []*result) string {
	var b strings.Builder
	for _, arch := range cubin.Architectures {
		var kernels, hot, local, most int
		for _, r := range results {
			if r.arch != arch {
				continue
			}
			for _, u := range r.uses {
				kernels++
				most = max(most, u.registers)
				if r.source.hot[u.kernel] {
					hot++
				}
				if u.stack+u.spillStores+u.spillLoads > 0 {
					local++
				}
			}
		}
		if kernels > 0 { // PTX is without registers
			fmt.Fprintf(&b, "%s: %d kernels, %d of them hot, %d registers at the most, local memory in %d\n", arch, kernels, hot, most, local)
		}
	}
	return b.String()
}

// archive writes the modules of an architecture, the same bytes for the same modules.
func archive(path string, results []*result, arch string) error {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, r := range results {
		if r.arch != arch {
			continue
		}
		w, err := z.Create(r.source.module() + cubin.Extension(arch))
		if err != nil {
			return err
		}
		if _, err := w.Write(r.image); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return replace(path, b.Bytes())
}
