// Package cubin has the kernels of attune-cuda as kernels/cuda/compile made them: one archive an architecture, one module a
// .cu file in it. Building with the tag gpu puts the archives into the program.
package cubin

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Architectures are those that archives are made for: machine code for four, and PTX, which the driver of any later GPU
// translates.
var Architectures = [...]string{"sm_80", "sm_86", "sm_89", "sm_90a", PTX}

// PTX is the virtual architecture among them.
const PTX = "compute_80"

// Module is one .cu file, compiled.
type Module struct {
	Name      string   // of the file, without .cu
	Image     []byte   // a cubin, or PTX with a zero byte behind it: what cuModuleLoadData takes
	Functions []string // the kernels in it
}

// For is the architecture whose archive runs on a GPU of that compute capability, 10 major + minor. Machine code runs on
// later minor versions of its major one, but sm_90a on 9.0 alone.
func For(cc int) (string, error) {
	switch {
	case cc < 80:
		return "", fmt.Errorf("compute capability %d.%d; kernels are made for 8.0 and later", cc/10, cc%10)
	case cc < 86:
		return "sm_80", nil
	case cc < 89:
		return "sm_86", nil
	case cc == 89:
		return "sm_89", nil
	case cc == 90:
		return "sm_90a", nil
	}
	return PTX, nil
}

// Extension is how files of an architecture's modules end.
func Extension(arch string) string {
	if arch == PTX {
		return ".ptx"
	}
	return ".cubin"
}

// load reads the modules of an architecture out of dir: its archive, ARCH.zip, or a folder ARCH of the same files. They come
// in the order of their names.
func load(dir fs.FS, arch string) ([]Module, error) {
	files, err := open(dir, arch)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*"+Extension(arch))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no %s files for %s", Extension(arch), arch)
	}
	slices.Sort(names)
	var modules []Module
	for _, name := range names {
		image, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		functions, err := Functions(image)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", name, arch, err)
		}
		modules = append(modules, Module{strings.TrimSuffix(path.Base(name), Extension(arch)), append(image, 0), functions})
	}
	return modules, nil
}

// open is the archive of an architecture, or the folder of its name.
func open(dir fs.FS, arch string) (fs.FS, error) {
	if info, err := fs.Stat(dir, arch); err == nil && info.IsDir() {
		return fs.Sub(dir, arch)
	}
	b, err := fs.ReadFile(dir, arch+".zip")
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fmt.Errorf("%s.zip: %w", arch, err)
	}
	return z, nil
}

var entry = regexp.MustCompile(`\.entry\s+(\w+)`)

// Functions are the names of the kernels in a cubin or PTX text, sorted.
func Functions(image []byte) ([]string, error) {
	var names []string
	if !bytes.HasPrefix(image, []byte(elf.ELFMAG)) {
		for _, m := range entry.FindAllSubmatch(image, -1) {
			names = append(names, string(m[1]))
		}
	} else {
		if len(image) < 24 {
			return nil, fmt.Errorf("cut short")
		}
		header := bytes.Clone(image)
		binary.LittleEndian.PutUint32(header[20:], uint32(elf.EV_CURRENT)) // compilers put the toolkit's version there
		f, err := elf.NewFile(bytes.NewReader(header))
		if err != nil {
			return nil, err
		}
		for _, s := range f.Sections { // .text.NAME is the code of kernel NAME
			if name, is := strings.CutPrefix(s.Name, ".text."); is {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("holds no kernel")
	}
	slices.Sort(names)
	return names, nil
}
