package kernels

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"
)

// goldenTensor is a tensor in testdata/ops_torch.json.
type goldenTensor struct {
	Shape []int     `json:"shape"`
	F     []float64 `json:"f"`
	I     []int32   `json:"i"`
}

type goldenCase struct {
	Kernel     string          `json:"kernel"`
	Attributes json.RawMessage `json:"attributes"`
	In         []*goldenTensor `json:"in"`
	Out        []*goldenTensor `json:"out"`
}

// golden lists the kernels that ops_torch.json has cases for.
func golden() []Kernel {
	return []Kernel{
		Embed{}, EmbedBwd{}, RMSNorm{}, RMSNormBwd{}, Linear{}, LinearBwd{}, RoPE{}, Attention{}, AttentionBwd{},
		AttentionCached{}, SwiGLU{}, SwiGLUBwd{}, Add{}, ScaleBy{}, Rows{}, LinearCrossEntropy{}, AdamW{}, SumSq{},
		Accumulate{}, Zero{},
	}
}

// kernelOf is the kernel called name with the attributes.
func kernelOf(t *testing.T, name string, attributes []byte) Kernel {
	t.Helper()
	for _, k := range golden() {
		if k.Name() == name {
			p := reflect.New(reflect.TypeOf(k))
			if err := json.Unmarshal(attributes, p.Interface()); err != nil {
				t.Fatal(err)
			}
			return p.Elem().Interface().(Kernel)
		}
	}
	t.Fatalf("no kernel %q", name)
	return nil
}

func goldenTensors[T Float](ts []*goldenTensor, empty bool) []*Tensor[T] {
	out := make([]*Tensor[T], len(ts))
	for i, g := range ts {
		if g == nil {
			continue
		}
		out[i] = &Tensor[T]{Shape: g.Shape, I: g.I}
		if g.I != nil {
			continue
		}
		out[i].F = make([]T, len(g.F))
		for j, v := range g.F {
			if !empty {
				out[i].F[j] = T(v)
			}
		}
	}
	return out
}

// The references give what PyTorch computes: in float64 to 1e-12, in float32 (inputs rounded too) to 1e-5.
func TestReferencesEqualPyTorch(t *testing.T) {
	raw, err := os.ReadFile("testdata/ops_torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []goldenCase }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, c := range file.Cases {
		seen[c.Kernel] = true
		t.Run(fmt.Sprintf("%s/%d", c.Kernel, i), func(t *testing.T) {
			k := kernelOf(t, c.Kernel, c.Attributes)
			wide := goldenTensors[float64](c.Out, true)
			k.Float64(goldenTensors[float64](c.In, false), wide)
			compareGolden(t, wide, c.Out, 1e-12)
			narrow := goldenTensors[float32](c.Out, true)
			k.Float32(goldenTensors[float32](c.In, false), narrow)
			compareGolden(t, narrow, c.Out, 1e-5)
		})
	}
	for _, k := range golden() {
		if !seen[k.Name()] {
			t.Errorf("no case for %s: add one to scripts/goldens/ops.py", k.Name())
		}
	}
}

// compareGolden allows tol of an element plus the root mean square of its tensor, as Tol does.
func compareGolden[T Float](t *testing.T, got []*Tensor[T], want []*goldenTensor, tol float64) {
	t.Helper()
	for i, w := range want {
		if w == nil {
			continue
		}
		rms := math.Sqrt(dot(w.F, w.F) / float64(len(w.F)))
		for j, x := range w.F {
			if d := math.Abs(float64(got[i].F[j]) - x); !(d <= tol*(math.Abs(x)+rms)) {
				t.Errorf("output %d[%d]: %.17g, PyTorch %.17g", i, j, got[i].F[j], x)
			}
		}
	}
}
