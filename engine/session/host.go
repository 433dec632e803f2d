package session

import (
	"errors"
	"fmt"

	"attune/engine/exec"
	cpubackend "attune/engine/exec/cpu"
	"attune/kernels"
)

// Host is memory of the host for a copy of what lies on the device: zeroed, outside the Go heap, a multiple of four bytes;
// free gives it back. It is errors.ErrUnsupported where the device can neither make it nor has its own in the host's.
func (d *Device) Host(bytes int64) (memory []byte, free func() error, err error) {
	switch {
	case d.HostAlloc != nil:
		if memory, free, err = d.HostAlloc(bytes); err != nil {
			return nil, nil, fmt.Errorf("memory for a copy: %w", err)
		}
		return memory, free, nil
	case d.Bytes == nil:
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

// HostMemoryFree is how many bytes of the host's memory can be asked for; errors.ErrUnsupported where the system does not
// say.
func HostMemoryFree() (int64, error) { return cpubackend.MemoryFree() }

// Takes is the memory of the device that buffers of such sizes take in all.
func (d *Device) Takes(sizes []int64) int64 {
	if d.Footprint != nil {
		return d.Footprint(sizes)
	}
	var all int64
	for _, n := range sizes {
		all += n
	}
	return all
}

// Record implements exec.Recorder, for a backend that is one.
func (d *Device) Record(launches []exec.Launch) (exec.Recording, error) {
	if r, ok := d.Backend.(exec.Recorder); ok {
		return r.Record(launches)
	}
	return nil, fmt.Errorf("record on %s: %w", d.Name(), errors.ErrUnsupported)
}

// LaunchAll implements exec.Batcher, as the backend can.
func (d *Device) LaunchAll(launches []exec.Launch) error {
	return exec.LaunchAll(d.Backend, launches)
}
