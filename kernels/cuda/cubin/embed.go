//go:build gpu

package cubin

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

//go:embed archives
var embedded embed.FS

// override names a directory of archives to take in place of the built-in ones: kernels compiled again, without Go.
const override = "ATTUNE_CUDA_KERNELS"

// Open gives the modules for a GPU of that compute capability, 10 major + minor.
func Open(cc int) (modules []Module, arch string, err error) {
	if arch, err = For(cc); err != nil {
		return nil, "", err
	}
	if dir := os.Getenv(override); dir != "" {
		if modules, err = load(os.DirFS(dir), arch); err != nil {
			return nil, "", fmt.Errorf("kernels of %s=%s: %w", override, dir, err)
		}
		return modules, arch, nil
	}
	dir, err := fs.Sub(embedded, "archives")
	if err != nil {
		return nil, "", err
	}
	modules, err = load(dir, arch)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("this attune-cuda was built without kernels for %s: build it with make cuda", arch)
	}
	return modules, arch, err
}
