package model

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attune/internal/disk"
	"attune/internal/safetensors"
	"attune/kernels"
)

// Every float16 is what the format says, and comes back.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, man := 1-2*float64(h>>15), h>>10&31, float64(h&1023)
		want := sign * math.Ldexp(1+man/1024, exp-15)
		switch {
		case exp == 0:
			want = sign * math.Ldexp(man, -24)
		case exp == 31 && man == 0:
			want = math.Inf(int(sign))
		case exp == 31:
			want = math.NaN()
		}
		u := halfToFloat(uint16(h))
		got := float64(math.Float32frombits(u))
		if got != want && !(got != got && want != want) || math.Signbit(got) != (h>>15 == 1) {
			t.Fatalf("%#04x is %g, want %g", h, got, want)
		}
		if back := floatToHalf(u); back != uint16(h) && want == want {
			t.Fatalf("%#04x comes back as %#04x", h, back)
		}
	}
}

// Rounding takes the nearest neighbour, the even one of two.
func TestRounding(t *testing.T) {
	next := func(f func(uint32) uint16, widen func(uint16) uint32) {
		for i := range 200000 {
			u := uint32(i) * 2654435761 // spread over all float32
			x := float64(math.Float32frombits(u))
			if x != x || math.IsInf(x, 0) {
				continue
			}
			h := f(u)
			got := float64(math.Float32frombits(widen(h)))
			if math.IsInf(got, 0) {
				continue
			}
			for _, n := range []uint16{h - 1, h + 1} {
				other := float64(math.Float32frombits(widen(n)))
				if other != other || math.IsInf(other, 0) || math.Signbit(other) != math.Signbit(got) {
					continue
				}
				d := new(big.Float).Sub(big.NewFloat(x), big.NewFloat(got))
				e := new(big.Float).Sub(big.NewFloat(x), big.NewFloat(other))
				if c := d.Abs(d).Cmp(e.Abs(e)); c > 0 || c == 0 && h&1 == 1 {
					t.Fatalf("%g rounds to %g (%#04x), but %g (%#04x) is nearer or even", x, got, h, other, n)
				}
			}
		}
	}
	next(floatToBF16, func(h uint16) uint32 { return uint32(h) << 16 })
	next(floatToHalf, halfToFloat)
	for _, c := range []struct {
		in   float64
		half uint16
	}{{65519.99, 0x7bff}, {65520, 0x7c00}, {1e10, 0x7c00}, {-1e10, 0xfc00}, {math.Inf(1), 0x7c00}, {0, 0}, {math.Copysign(0, -1), 0x8000}, {0x1p-24, 1}, {0x1p-25, 0}, {0x1.8p-25, 1}} {
		if got := floatToHalf(math.Float32bits(float32(c.in))); got != c.half {
			t.Errorf("%g gives %#04x, want %#04x", c.in, got, c.half)
		}
	}
	nan := math.Float32bits(float32(math.NaN())) | 1
	if b, h := floatToBF16(nan), floatToHalf(nan); b&0x7fff <= 0x7f80 || h&0x7fff <= 0x7c00 {
		t.Errorf("NaN becomes %#04x, %#04x", b, h)
	}
}

func TestAsIsZeroCopy(t *testing.T) {
	w := Weight{Name: "w", Dtype: kernels.BFloat16, Shape: []int{2}, Data: []byte{0x80, 0x3f, 0, 0x40}}
	same, err := w.As(kernels.BFloat16)
	if err != nil || &same[0] != &w.Data[0] {
		t.Errorf("a copy was made: %v", err)
	}
	wide, err := w.As(kernels.Float32)
	if err != nil || !slices.Equal(wide, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}) {
		t.Errorf("1, 2 in float32: % x, %v", wide, err)
	}
	if _, err := w.As(kernels.Int32); !errors.Is(err, ErrUnsupported) {
		t.Errorf("to int32: %v", err)
	}
	if err := w.Convert(kernels.Float32, make([]byte, 4)); err == nil {
		t.Error("a short destination was accepted")
	}
}

// A file that does not fit is told apart tensor by tensor, all in one error.
func TestCheck(t *testing.T) {
	c := tinyCases(t)[0]
	for _, x := range []struct {
		name string
		edit func(ts []safetensors.Tensor) []safetensors.Tensor
		want []string // none = opens
	}{
		{"as it is", func(ts []safetensors.Tensor) []safetensors.Tensor { return ts }, nil},
		{"inv_freq", func(ts []safetensors.Tensor) []safetensors.Tensor {
			return append(ts, safetensors.Tensor{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", Dtype: "F32", Shape: []int{1}, Data: make([]byte, 4)})
		}, nil},
		{"missing, extra, mis-shaped, integers", func(ts []safetensors.Tensor) []safetensors.Tensor {
			var out []safetensors.Tensor
			for _, x := range ts {
				switch x.Name {
				case "model.norm.weight":
					continue
				case "model.layers.1.self_attn.k_proj.weight":
					x.Shape = []int{32, 16}
				case "model.layers.2.mlp.up_proj.bias":
					x.Dtype = "I32"
				}
				out = append(out, x)
			}
			return append(out, safetensors.Tensor{Name: "model.layers.3.mlp.x", Dtype: "F32", Shape: []int{1}, Data: make([]byte, 4)})
		}, []string{"missing model.norm.weight [32]", "model.layers.1.self_attn.k_proj.weight is [32 16]; config.json makes it [16 32]",
			"model.layers.2.mlp.up_proj.bias is I32", "extra model.layers.3.mlp.x [1]"}},
		{"no head", func(ts []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(ts, func(x safetensors.Tensor) bool { return x.Name == "lm_head.weight" })
		}, []string{"missing lm_head.weight [80 32] (tie_word_embeddings is false)"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := c.write(t)
			path := filepath.Join(dir, safetensors.SingleName)
			f, err := safetensors.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			var ts []safetensors.Tensor
			for _, i := range f.Tensors() {
				ts = append(ts, safetensors.Tensor{Name: i.Name, Dtype: i.Dtype, Shape: i.Shape, Data: slices.Clone(f.Data(i.Name))})
			}
			f.Close()
			if err := writeTensors(path, x.edit(ts), nil); err != nil {
				t.Fatal(err)
			}
			ck, err := Open(dir)
			if len(x.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				ck.Close()
				return
			}
			if !errors.Is(err, ErrWeights) {
				t.Fatalf("got %v; want ErrWeights", err)
			}
			for _, w := range x.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error does not say %q: %v", w, err)
				}
			}
		})
	}
}

// A header that is not padded puts tensors at odd bytes; their weights are aligned copies with the same values.
func TestUnalignedFile(t *testing.T) {
	for pad := range 4 {
		header := `{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}` + strings.Repeat(" ", pad)
		b := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		b = append(b, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40)
		path := filepath.Join(t.TempDir(), "w.safetensors")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w := Weight{Name: "w", Dtype: kernels.Float32, Shape: []int{2}, Data: f.Data("w")}.Aligned()
		if got := view[uint32](w.Data); got[0] != math.Float32bits(1) || got[1] != math.Float32bits(2) {
			t.Errorf("%d spaces: %#x", pad, got)
		}
		if i, _ := f.Info("w"); (i.Offset%4 == 0) != (&w.Data[0] == &f.Data("w")[0]) {
			t.Errorf("%d spaces, byte %d: copied where it need not be, or the reverse", pad, i.Offset)
		}
	}
}

func writeTensors(path string, tensors []safetensors.Tensor, metadata map[string]string) error {
	return disk.Create(disk.OS(), path, func(w io.Writer) error { return safetensors.Encode(w, tensors, metadata) })
}
