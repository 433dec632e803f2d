//go:build !linux

package disk

import "errors"

const atWorkingDir = -1

func exchange(int, string, int, string) error { return errors.ErrUnsupported }
