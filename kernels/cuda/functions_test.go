package cuda

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"attune/kernels"
)

// launched collects the functions of plans for every kind of target.
type launched map[string]bool

func (l launched) add(t *testing.T, plan func(Target) ([]Step, error)) {
	t.Helper()
	for _, target := range []Target{{CC: 80}, {CC: 80, Lt: true}, {CC: 86}, {CC: 90, Hopper: true}, {CC: 90, Hopper: true, Lt: true}} {
		steps, err := plan(target)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s, ok := s.(*Launch); ok {
				l[s.Func] = true
			}
		}
	}
}

func (l launched) kernel(t *testing.T, k kernels.Kernel, in, out []View) {
	t.Helper()
	l.add(t, func(target Target) ([]Step, error) {
		n := int(Scratch(target, k, in, out)+3) / 4
		return Plan(target, k, in, out, View{Dtype: kernels.Int32, Shape: []int{n}})
	})
}

// Every function of the .cu files is launched by some plan: one that is not is compiled for four architectures in vain.
func TestEveryFunctionIsLaunched(t *testing.T) {
	all := launched{}
	f32 := func(shape ...int) View { return View{Dtype: kernels.Float32, Shape: shape} }
	ids := func(n int) View { return View{Dtype: kernels.Int32, Shape: []int{n}} }
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		of := func(shape ...int) View { return View{Dtype: d, Shape: shape} }
		x := of(300, 64)
		all.kernel(t, kernels.Add{}, []View{x, x}, []View{x})
		all.kernel(t, kernels.ScaleBy{}, []View{x, f32()}, []View{x})
		all.kernel(t, kernels.SwiGLU{Act: "silu"}, []View{x, x}, []View{x})
		all.kernel(t, kernels.SwiGLUBwd{Act: "silu"}, []View{x, x, x}, []View{x, x})
		all.kernel(t, kernels.Rows{}, []View{x, ids(9)}, []View{of(9, 64)})
		all.kernel(t, kernels.EmbedBwd{}, []View{ids(300), x}, []View{f32(1000, 64)})
		all.kernel(t, kernels.SumSq{}, []View{x}, []View{f32()})
		all.kernel(t, kernels.NF4{Block: 64}, []View{ids(64), f32(8)}, []View{of(512)})
		all.kernel(t, kernels.RoPE{InvFreq: make([]float64, 32)}, []View{of(300, 2, 64), ids(300)}, []View{of(300, 2, 64)})
		all.kernel(t, kernels.LinearCrossEntropy{}, []View{x, f32(1000, 64), ids(300), f32(300)}, []View{f32(), x, f32(1000, 64), f32(300)})
		for _, width := range []int{64, 1024, 4096, 8192, 9000} {
			x, w, rstd := of(5000, width), of(width), f32(5000)
			all.kernel(t, kernels.RMSNorm{}, []View{x, w}, []View{x, rstd})
			all.kernel(t, kernels.RMSNormBwd{}, []View{x, w, rstd, x}, []View{x, f32(width)})
		}
		for _, dh := range []int{32, 64, 80, 96, 128, 256} {
			q, k, lse, cache := of(300, 4, dh), of(300, 2, dh), f32(300, 4), of(1000, 2, dh)
			for _, softCap := range []float64{0, 30} {
				all.kernel(t, kernels.Attention{Scale: 1, SoftCap: softCap}, []View{q, k, k, ids(300)}, []View{q, lse})
				all.kernel(t, kernels.AttentionBwd{Scale: 1, SoftCap: softCap}, []View{q, k, k, ids(300), q, lse, q}, []View{q, k, k})
			}
			all.kernel(t, kernels.AttentionCached{Scale: 1}, []View{q, k, k, cache, cache, ids(300)}, []View{q})
			one, kv := of(1, 4, dh), of(1, 2, dh)
			all.kernel(t, kernels.AttentionCached{Scale: 1}, []View{one, kv, kv, cache, cache, ids(1)}, []View{one})
		}
		for _, rows := range []int{1, 2, 4, 8, 2048} {
			for _, rank := range []int{16, 32, 64, 128, 130} {
				for _, dropout := range []float64{0, 0.1} {
					x, y, w, a, b, xa := of(rows, 256), of(rows, 512), f32(512, 256), f32(rank, 256), f32(512, rank), f32(rows, rank)
					var keys []View
					if dropout > 0 {
						keys = []View{ids(rows)}
					}
					k := kernels.Linear{Rank: rank, Scale: 1, Dropout: dropout}
					all.kernel(t, k, append([]View{x, w, a, b}, keys...), []View{y, xa})
					all.kernel(t, kernels.LinearBwd(k), append(append([]View{x, w, a, b, xa}, keys...), y), []View{x, {}, f32(512), a, b})
					all.kernel(t, kernels.LinearBwd(k), append(append([]View{x, w, a, b, xa}, keys...), y), []View{x, {}, {}, a, {}})
				}
			}
		}
		for _, n := range []int{64, 130, 300, 1000, 4096} {
			for trans := range 4 {
				m := Mat{Ptr: 1 << 20, Dtype: d, Rows: n, Cols: n, LD: (n + 7) &^ 7}
				g := Gemm{A: m, B: m, D: m, TransA: trans&1 != 0, TransB: trans&2 != 0, Alpha: 1}
				all.add(t, func(target Target) ([]Step, error) { return PlanGemm(target, g) })
			}
		}
	}
	v := f32(64)
	all.kernel(t, kernels.AdamW{}, []View{v, v, v, v, f32(4)}, []View{v, v, v})

	files, err := filepath.Glob("*.cu")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^KERNEL\((\w+),`).FindAllStringSubmatch(string(text), -1) {
			if !all[m[1]] {
				t.Errorf("%s: no plan launches %s", file, m[1])
			}
		}
	}
}
