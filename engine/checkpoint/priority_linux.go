package checkpoint

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// lowPriority makes the goroutine's thread one that computes only where nothing else would: training has the processor
// first. The goroutine keeps the thread, which ends with it.
func lowPriority() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19) // of a thread, on Linux; refused, it only writes sooner
}
