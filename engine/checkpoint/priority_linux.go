package checkpoint

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// atLowPriority does work on a thread that computes only where nothing else would: training has the processor first. The
// thread ends with the work, and its priority with it.
func atLowPriority(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // the first thread never ends; held here, it is not the next one either
			defer runtime.UnlockOSThread()
			atLowPriority(work)
			return
		}
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19) // of a thread, on Linux; refused, it only has what the others have
		work()
	}()
	<-done
}
