//go:build !linux

package checkpoint

// lowPriority does nothing: only Linux has priorities of threads.
func lowPriority() {}
