package cpu

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// memoryFree reads MemAvailable of /proc/meminfo and the limits of the process's control groups below root.
func memoryFree(root fs.FS) (int64, error) {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("free memory: %w", err)
	}
	kib, ok := field(string(text), "MemAvailable:")
	if !ok {
		return 0, errors.New("free memory: /proc/meminfo has no MemAvailable")
	}
	free := kib << 10
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return free, nil // a kernel without control groups
	}
	for line := range strings.Lines(string(groups)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case id == "0" && controllers == "": // version 2
			free = min(free, groupFree(root, "sys/fs/cgroup", group, "memory.max", "memory.current", "inactive_file"))
		case strings.Contains(","+controllers+",", ",memory,"): // version 1
			free = min(free, groupFree(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))
		}
	}
	return max(free, 0), nil
}

const unlimited = 1<<63 - 1

// groupFree is the least that the group or one above it leaves: limit - usage, where file pages that can be dropped do
// not count as used. In a container the group's own path may not exist below the mount, its root does.
func groupFree(root fs.FS, mount, group, limitFile, usageFile, droppable string) int64 {
	free := int64(unlimited)
	for dir := path.Join(mount, path.Clean("/"+group)); ; dir = path.Dir(dir) {
		limit, ok1 := number(root, path.Join(dir, limitFile))
		usage, ok2 := number(root, path.Join(dir, usageFile))
		if ok1 && ok2 {
			stat, _ := fs.ReadFile(root, path.Join(dir, "memory.stat"))
			drop, _ := field(string(stat), droppable)
			free = min(free, limit-max(usage-drop, 0))
		}
		if dir == mount || dir == "." {
			return free
		}
	}
}

// number reads a file of one number; "max" is no number.
func number(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// field reads the number behind a key that begins a line.
func field(text, key string) (int64, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
