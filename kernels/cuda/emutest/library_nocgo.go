//go:build !cgo

package emutest

import (
	"errors"

	"attune/kernels/cuda"
)

type library struct{}

func open(string) (*library, error) {
	return nil, errors.New("the emulator is called through cgo: test with CGO_ENABLED=1 and gcc")
}

func (*library) launch(*cuda.Launch, int, Options) error { return errors.ErrUnsupported }
