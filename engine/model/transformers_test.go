package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/nn"
	"attune/internal/safetensors"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// tinyCase is one model of testdata/models.json (scripts/goldens/models.py).
type tinyCase struct {
	Name       string          `json:"name"`
	Dtype      string          `json:"dtype"`
	Shards     int             `json:"shards"`
	Config     json.RawMessage `json:"config"`
	Parameters int64           `json:"parameters"`
	IDs        []int32         `json:"ids"`
	LastLogits []float64       `json:"last_logits"`
	NLL        []float64       `json:"nll"`
}

func tinyCases(t *testing.T) []tinyCase {
	t.Helper()
	var f struct {
		Cases []tinyCase `json:"cases"`
	}
	readJSON(t, filepath.Join("testdata", "models.json"), &f)
	return f.Cases
}

// formula is the weight called name, as scripts/goldens/models.py makes it.
func formula(name string, shape []int) Weight {
	h := fnv.New32a()
	h.Write([]byte(name))
	w := Weight{Name: name, Dtype: kernels.Float32, Shape: shape}
	for i := range elements(shape) {
		x := uint32(i)*0x9e3779b9 + h.Sum32()
		x ^= x >> 16
		x *= 0x7feb352d
		x ^= x >> 15
		x *= 0x846ca68b
		x ^= x >> 16
		v := float64(x>>8)*0x1p-24 - 0.5
		switch {
		case len(shape) > 1:
			v = 4 * v / math.Sqrt(float64(shape[len(shape)-1]))
		case !strings.HasSuffix(name, "bias"):
			v++
		}
		w.Data = binary.LittleEndian.AppendUint32(w.Data, math.Float32bits(float32(v)))
	}
	return w
}

// write makes the case's directory and gives its path.
func (c tinyCase) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), c.Config, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := ParseConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	ts, err := cfg.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	shards, where := make([][]safetensors.Tensor, c.Shards), map[string]string{}
	name := func(i int) string {
		if c.Shards == 1 {
			return safetensors.SingleName
		}
		return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, c.Shards)
	}
	for i, x := range ts {
		data, err := formula(x.Name, x.Shape).As(dtypes[c.Dtype])
		if err != nil {
			t.Fatal(err)
		}
		s := i % c.Shards
		shards[s] = append(shards[s], safetensors.Tensor{Name: x.Name, Dtype: c.Dtype, Shape: x.Shape, Data: data})
		where[x.Name] = name(s)
	}
	for i, s := range shards {
		if err := writeTensors(filepath.Join(dir, name(i)), s, nil); err != nil {
			t.Fatal(err)
		}
	}
	if c.Shards > 1 {
		b, _ := json.Marshal(map[string]any{"weight_map": where})
		if err := os.WriteFile(filepath.Join(dir, safetensors.IndexName), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Every architecture, rope type, spelling and dtype against transformers.
func TestTransformers(t *testing.T) {
	for _, c := range tinyCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			ck, err := Open(c.write(t))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			if n, err := ck.Config.Parameters(); err != nil || n != c.Parameters {
				t.Errorf("parameters %d, %v; transformers counts %d", n, err, c.Parameters)
			}
			near(t, "logits", lastLogits(t, ck, c.IDs), c.LastLogits, 1e-5)
			near(t, "nll", tokenNLL(t, ck, c.IDs), c.NLL, 1e-5)
		})
	}
}

// Generation through the cache, a prompt at once with padding and then token by token, gives the logits of one pass.
func TestCache(t *testing.T) {
	for _, c := range tinyCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			ck, err := Open(c.write(t))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			values, n := map[string]*kernels.Tensor[float32]{}, len(c.IDs)
			step := func(tokens int, ids []int32, first int) []float32 {
				b := nn.NewBuilder(G.NewGraph(), nn.Options{Tokens: tokens, CacheLen: n})
				logits := ck.Config.Logits(b)
				if err := b.Err(); err != nil {
					t.Fatal(err)
				}
				caches := 0
				for _, in := range b.Inputs() {
					if in.Cache {
						caches++
						if values[in.Name] == nil {
							values[in.Name] = &kernels.Tensor[float32]{Shape: in.Shape, F: make([]float32, elements(in.Shape))}
						}
					}
				}
				if caches != 2*ck.Config.NumHiddenLayers {
					t.Fatalf("%d caches", caches)
				}
				id, pos := make([]int32, tokens), make([]int32, tokens)
				for i := range pos {
					pos[i] = -1
					if i < len(ids) {
						id[i], pos[i] = ids[i], int32(first+i)
					}
				}
				values[nn.IDs], values[nn.Positions], values[nn.Rows] = ints(id...), ints(pos...), ints(int32(len(ids)-1))
				bindWeights(t, ck, b, values)
				return run(t, b.Graph(), values, logits)[0].F
			}
			got := step(n, c.IDs[:n-3], 0)
			for i := n - 3; i < n; i++ {
				got = step(1, c.IDs[i:i+1], i)
			}
			near(t, "logits", got, c.LastLogits, 1e-5)
		})
	}
}

// Two examples in one packed row have the losses they have alone.
func TestPacked(t *testing.T) {
	for _, c := range tinyCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			ck, err := Open(c.write(t))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			cut, pad := 17, 5
			one, two := c.IDs[:cut], c.IDs[cut:]
			want := append(tokenNLL(t, ck, one), append([]float32{0}, tokenNLL(t, ck, two)...)...)
			n := len(c.IDs) + pad
			b := nn.NewBuilder(G.NewGraph(), nn.Options{Tokens: n})
			_, nll := ck.Config.Train(b)
			values := batch(append(append([]int32{}, c.IDs...), make([]int32, pad)...))
			for i := range n {
				pos, seg := i, 0
				if i >= cut {
					pos, seg = i-cut, 1
				}
				if i >= len(c.IDs) {
					pos, seg = 0, -1
				}
				values[nn.Positions].I[i], values[nn.Segments].I[i] = int32(pos), int32(seg)
				if i == cut-1 || i >= len(c.IDs)-1 {
					values[nn.Weights].F[i] = 0
				}
			}
			bindWeights(t, ck, b, values)
			got := run(t, b.Graph(), values, nll)[0].F
			wide := make([]float64, n)
			for i, v := range want {
				wide[i] = float64(v)
			}
			near(t, "nll", got, wide, 1e-5)
		})
	}
}
