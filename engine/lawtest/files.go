package lawtest

import (
	"attune/internal/disk"
	"attune/internal/disk/disktest"
)

// files is where trials write, without waiting for the disk: that would be most of a trial.
func files() disk.FS { return disktest.New(disk.OS()) }
