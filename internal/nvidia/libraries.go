package nvidia

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// LibrariesEnv names the variable with directories, between colons, in which libraries are looked for first.
const LibrariesEnv = "ATTUNE_CUDA_LIBS"

// Library is one that was opened.
type Library struct {
	Path    string
	Version string
}

// CublasLt are the names under which cuBLASLt may be opened with a driver that takes that version of CUDA, the first that
// opens being the one to take: paths in the directories of LibrariesEnv, then what the loader finds, then paths in an
// installed toolkit and in the packages of Python environments. Within each of these, newer ones come first.
func CublasLt(cuda Version) []string {
	sonames := []string{"libcublasLt.so.12"}
	if cuda >= 13000 { // an older driver refuses what is made for 13
		sonames = slices.Insert(sonames, 0, "libcublasLt.so.13")
	}
	var list []string
	in := func(dirs ...string) {
		for _, name := range sonames {
			for _, dir := range dirs {
				path := filepath.Join(dir, name)
				if _, err := os.Stat(path); err == nil && !slices.Contains(list, path) {
					list = append(list, path)
				}
			}
		}
	}
	in(filepath.SplitList(os.Getenv(LibrariesEnv))...)
	list = append(list, sonames...)
	in("/usr/local/cuda/lib64")
	in(pythons()...)
	return list
}

// pythons are the directories in which NVIDIA's packages for Python have libraries: those of the python3 on the path, of the
// environment it is in, and of the user.
func pythons() []string {
	var prefixes []string
	if python, err := exec.LookPath("python3"); err == nil {
		prefixes = append(prefixes, filepath.Dir(filepath.Dir(python)))
		if real, err := filepath.EvalSymlinks(python); err == nil {
			prefixes = append(prefixes, filepath.Dir(filepath.Dir(real)))
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		prefixes = append(prefixes, filepath.Join(home, ".local"))
	}
	prefixes = append(prefixes, "/usr/local")
	var dirs []string
	for _, prefix := range prefixes {
		if strings.ContainsAny(prefix, `*?[\`) { // of Glob
			continue
		}
		for _, packages := range []string{"python3*/site-packages", "python3*/dist-packages", "python3/dist-packages"} {
			found, _ := filepath.Glob(filepath.Join(prefix, "lib", packages, "nvidia", "*", "lib")) // the pattern is sound
			dirs = append(dirs, found...)
		}
	}
	return dirs
}
