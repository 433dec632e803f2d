package lawtest

import (
	"os"

	"attune/internal/disk"
)

// unsynced are files of which nothing need outlive the test: to wait for the disk would be most of a trial.
type unsynced struct{ disk.FS }

// OpenFile implements disk.FS.
func (u unsynced) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	f, err := u.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

// SyncDir implements disk.FS.
func (unsynced) SyncDir(string) error { return nil }

type unsyncedFile struct{ disk.File }

// Sync implements disk.File.
func (unsyncedFile) Sync() error { return nil }

// files is where trials write.
func files() disk.FS { return unsynced{disk.OS()} }
