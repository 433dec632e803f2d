package session

import (
	"errors"
	"fmt"

	"attune/engine/exec"
	"attune/kernels"
)

// Host is memory of the host for a copy of what lies on the device: zeroed, outside the Go heap, a multiple of four bytes;
// free gives it back. It is errors.ErrUnsupported where the device's own memory is not the host's.
func (d *Device) Host(bytes int64) (memory []byte, free func() error, err error) {
	if d.Bytes == nil {
		return nil, nil, fmt.Errorf("memory for a copy: %w", errors.ErrUnsupported)
	}
	buf, err := d.Alloc(bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("memory for a copy: %w", err)
	}
	return d.Bytes(exec.Operand{Buf: buf, Dtype: kernels.Float32, Shape: []int{int(bytes / 4)}}), buf.Free, nil
}

// Host is that of the session's device.
func (s *Session) Host(bytes int64) (memory []byte, free func() error, err error) {
	return s.o.Device.Host(bytes)
}
