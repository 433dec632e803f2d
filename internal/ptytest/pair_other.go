//go:build !linux

package ptytest

import (
	"errors"
	"os"
)

// pair is not written for this system.
func pair(int) (other, tty *os.File, err error) { return nil, nil, errors.ErrUnsupported }
