//go:build !cgo

package nvidia

import "fmt"

// Probe cannot ask the driver without cgo.
func Probe() (Driver, error) {
	d := Driver{Release: release()}
	if d.Release != "" {
		return d, fmt.Errorf("%w: a driver is here, and this build, made without cgo, cannot ask it", ErrNoDriver)
	}
	return d, ErrNoDriver
}

// Inspect cannot open a library without cgo.
func Inspect(string) (Library, error) {
	return Library{}, fmt.Errorf("this build was made without cgo")
}
