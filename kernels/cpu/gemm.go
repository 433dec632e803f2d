//go:build cgo

package cpu

// packBuffers is the memory that the matrix products pack their operands into.
type packBuffers struct{ mem []byte }

func newPackBuffers(*Engine) packBuffers { return packBuffers{} }

func (p packBuffers) bytes() int64 { return int64(len(p.mem)) }
