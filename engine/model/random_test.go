package model

import (
	"bytes"
	"math"
	"testing"

	"attune/kernels"
)

func shape(t *testing.T, name string) *Config {
	t.Helper()
	text, err := Shape(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The published models' parameter counts, as their cards and safetensors indices say.
func TestShapeParameters(t *testing.T) {
	for name, want := range map[string]int64{
		"llama3-8b": 8_030_261_248, "qwen2.5-7b": 7_615_616_512, "qwen2.5-1.5b": 1_543_714_304, "smollm2-135m": 134_515_008,
	} {
		c := shape(t, name)
		if n, err := c.Parameters(); err != nil || n != want {
			t.Errorf("%s has %d parameters (%v), the published model %d", name, n, err, want)
		}
	}
	if _, err := Shape("llama9"); err == nil {
		t.Error("a shape that does not exist was found")
	}
}

// Random weights have the config's spread, norms are 1, and the same seed gives the same bytes.
func TestRandom(t *testing.T) {
	c := shape(t, "tiny")
	for _, d := range []kernels.Dtype{kernels.Float32, kernels.BFloat16} {
		ck, err := Random(c, d, 1)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Random(c, d, 1)
		if err != nil {
			t.Fatal(err)
		}
		ws, err := ck.Weights()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range ws {
			same, err := again.Weight(w.Name)
			if err != nil || !bytes.Equal(w.Data, same.Data) {
				t.Errorf("%s differs from the same seed's (%v)", w.Name, err)
			}
			raw, err := w.As(kernels.Float32)
			if err != nil {
				t.Fatal(err)
			}
			var sum, squares float64
			for _, u := range view[uint32](raw) {
				v := float64(math.Float32frombits(u))
				sum, squares = sum+v, squares+v*v
			}
			n := float64(w.Elements())
			mean, std := sum/n, math.Sqrt(squares/n)
			if isNorm(Tensor{Name: w.Name, Shape: w.Shape}) {
				if mean != 1 || std != 1 {
					t.Errorf("%s: mean %g", w.Name, mean)
				}
			} else if math.Abs(mean) > 0.002 || math.Abs(std-c.InitializerRange) > 0.002 {
				t.Errorf("%s: mean %g, standard deviation %g, wants 0 and %g", w.Name, mean, std, c.InitializerRange)
			}
		}
		if err := ck.Close(); err != nil {
			t.Error(err)
		}
	}
}
