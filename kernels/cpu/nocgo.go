//go:build !cgo

package cpu

// Without cgo there is one instruction set, "go", and nothing to choose.

type tuned struct{}

func newTuned(string) tuned { return tuned{} }

func compiledISAs() []string { return nil }

func cTable() map[string]entry { return nil }

type packBuffers struct{}

func newPackBuffers(*Engine) packBuffers { return packBuffers{} }

func (packBuffers) bytes() int64 { return 0 }
