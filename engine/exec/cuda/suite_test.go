//go:build gpu

package cuda

import (
	"testing"

	"attune/engine/exec"
	"attune/engine/op/optest"
	"attune/kernels"
)

// device is the backend as the op suite drives it: memory of its own for every run.
type device struct{ *Backend }

func (d device) Run(k kernels.Kernel, in, out []optest.View) (err error) {
	var buffers []exec.Buffer
	defer func() {
		for _, b := range buffers {
			if e := b.Free(); err == nil {
				err = e
			}
		}
	}()
	place := func(v optest.View) (exec.Operand, error) {
		if v.Dtype == 0 || len(v.Data) == 0 {
			return exec.Operand{}, nil
		}
		buf, err := d.Alloc(int64(len(v.Data)))
		if err != nil {
			return exec.Operand{}, err
		}
		buffers = append(buffers, buf)
		return exec.Operand{Buf: buf, Dtype: v.Dtype, Shape: v.Shape}, d.Upload(buf, 0, v.Data)
	}
	l := exec.Launch{Kernel: k, In: make([]exec.Operand, len(in)), Out: make([]exec.Operand, len(out))}
	placed := map[*byte]exec.Operand{} // an output may be an input's memory
	for i, v := range in {
		if l.In[i], err = place(v); err != nil {
			return err
		}
		if len(v.Data) > 0 {
			placed[&v.Data[0]] = l.In[i]
		}
	}
	for i, v := range out {
		if len(v.Data) > 0 {
			if o, ok := placed[&v.Data[0]]; ok {
				l.Out[i] = o
				continue
			}
		}
		if l.Out[i], err = place(v); err != nil {
			return err
		}
	}
	if n := d.Scratch(k, types(l.In), types(l.Out)); n > 0 {
		buf, err := d.Alloc(n)
		if err != nil {
			return err
		}
		buffers = append(buffers, buf)
		l.Scratch = exec.Region{Buf: buf, Len: n}
	}
	if err := d.Launch(l); err != nil {
		return err
	}
	for i, v := range in { // a kernel may write to what it is given: caches
		if l.In[i].Buf != nil {
			if err := d.Download(v.Data, l.In[i].Buf, 0); err != nil {
				return err
			}
		}
	}
	for i, v := range out {
		if l.Out[i].Buf != nil {
			if err := d.Download(v.Data, l.Out[i].Buf, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d device) Close() {}

func types(os []exec.Operand) []exec.Type {
	ts := make([]exec.Type, len(os))
	for i, o := range os {
		ts[i] = o.Type()
	}
	return ts
}

// The op suite on the device itself. kernels/cuda runs the same plans in the emulator; this is for where there is a GPU.
func TestSuite(t *testing.T) {
	for _, path := range paths {
		t.Run("path="+path, func(t *testing.T) {
			b := open(t, Options{Path: path})
			optest.Run(t, func(testing.TB, int) optest.Backend { return device{b} })
		})
	}
}
