//go:build !linux

package checkpoint

// atLowPriority does work as it is: only Linux has priorities of threads.
func atLowPriority(work func()) { work() }
