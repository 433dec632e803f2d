package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// atWorkingDir stands for the directory to which names are relative.
const atWorkingDir = unix.AT_FDCWD

// exchange swaps two names in one step (renameat2(2), Linux 3.15); a file system that cannot says EINVAL.
func exchange(dirA int, a string, dirB int, b string) error {
	err := unix.Renameat2(dirA, a, dirB, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}
