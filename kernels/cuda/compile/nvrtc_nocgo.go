//go:build !cgo

package main

import "errors"

type compiler struct{ version string }

func openCompiler(string) (*compiler, error) {
	return nil, errors.New("NVRTC is called through cgo: build with CGO_ENABLED=1 and gcc")
}

func (c *compiler) compile(string, []byte, []string, bool) (image []byte, log string, err error) {
	return nil, "", errors.ErrUnsupported
}
