package cpu

import (
	"testing"
	"testing/fstest"

	"attune/kernels/cpu"
)

func TestMemoryFree(t *testing.T) {
	const meminfo = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"
	const available = 8000000 << 10
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no groups": {map[string]string{}, available},
		"version 2, limit on the parent": {map[string]string{
			"proc/self/cgroup":                      "0::/user/job\n",
			"sys/fs/cgroup/user/job/memory.max":     "max\n",
			"sys/fs/cgroup/user/job/memory.current": "5\n",
			"sys/fs/cgroup/user/memory.max":         "5000000\n",
			"sys/fs/cgroup/user/memory.current":     "3000000\n",
			"sys/fs/cgroup/user/memory.stat":        "anon 1\ninactive_file 1000000\n",
		}, 3000000},
		"version 2, own path not mounted": {map[string]string{
			"proc/self/cgroup":             "0::/outside/of/the/container\n",
			"sys/fs/cgroup/memory.max":     "1000\n",
			"sys/fs/cgroup/memory.current": "400\n",
		}, 600},
		"version 1": {map[string]string{
			"proc/self/cgroup": "3:cpu,cpuacct:/\n4:memory:/job\n0::/\n",
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "7000",
			"sys/fs/cgroup/memory/job/memory.usage_in_bytes": "9000",
			"sys/fs/cgroup/memory/job/memory.stat":           "total_inactive_file 4000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "9223372036854771712",
			"sys/fs/cgroup/memory/memory.usage_in_bytes":     "12",
		}, 2000},
		"over the limit": {map[string]string{
			"proc/self/cgroup":             "0::/",
			"sys/fs/cgroup/memory.max":     "1000",
			"sys/fs/cgroup/memory.current": "4000",
		}, 0},
		"limit above what is there": {map[string]string{
			"proc/self/cgroup":             "0::/../..",
			"sys/fs/cgroup/memory.max":     "900000000000000",
			"sys/fs/cgroup/memory.current": "4000",
		}, available},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{"proc/meminfo": {Data: []byte(meminfo)}}
			for f, text := range c.files {
				root[f] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := memoryFree(root)
			if err != nil || got != c.want {
				t.Errorf("%d, %v; want %d", got, err, c.want)
			}
		})
	}
	for name, text := range map[string]string{"empty": "", "no number": "MemAvailable: many kB\n", "cut": "MemAvailable:"} {
		if n, err := memoryFree(fstest.MapFS{"proc/meminfo": {Data: []byte(text)}}); err == nil {
			t.Errorf("%s: %d", name, n)
		}
	}
	if _, err := memoryFree(fstest.MapFS{}); err == nil {
		t.Error("no /proc/meminfo, no error")
	}
}

// The machine the test runs on has some memory left.
func TestMemoryFreeHere(t *testing.T) {
	b, err := New(cpu.Options{ISA: "go"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if n, err := b.MemoryFree(); err != nil || n < 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}
