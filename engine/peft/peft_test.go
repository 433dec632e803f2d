package peft

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/engine/nn"
	"attune/internal/disk"
	"attune/internal/reftest"
	"attune/internal/safetensors"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// tiny is a model of two layers; adapted is its graph with c's adapter.
func tiny(t *testing.T) *model.Config {
	t.Helper()
	c, err := model.ParseConfig([]byte(`{"model_type":"llama","vocab_size":16,"hidden_size":8,"intermediate_size":12,
		"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func adapted(t *testing.T, m *model.Config, c Config) *nn.Builder {
	t.Helper()
	linears, err := m.Linears()
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Adapter(linears)
	if err != nil {
		t.Fatal(err)
	}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{Tokens: 4, Adapter: a})
	m.Train(b)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTargets(t *testing.T) {
	linears, err := tiny(t).Linears()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		list string
		want int    // linears that carry the adapter
		err  string // part of the error
	}{
		{"all-linear", 14, ""},
		{"q_proj,v_proj", 4, ""},
		{"q_proj,q_proj", 2, ""},
		{"1.self_attn.q_proj", 1, ""},
		{"model.layers.0.mlp.up_proj", 1, ""},
		{`.*\.(q|k)_proj`, 4, ""},
		{`model\.layers\.0\..*`, 7, ""},
		{`q_proj|v_proj`, 0, "matches no linear layer"}, // PEFT matches the whole path
		{`(?!.*mlp).*proj`, 8, ""},                      // look-ahead, as Python has it
		{`(`, 0, "target_modules"},
		{"q_proj,query,lm_head", 0, `["lm_head" "query"]: no such linear layer; there are down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj`},
		{"roj", 0, "no such linear layer"}, // a suffix begins at a dot
		{"all-linear,q_proj", 0, "stands alone"},
		{`q_proj,.*`, 0, "must stand alone"},
	} {
		targets, err := ParseTargets(strings.Split(c.list, ","))
		n := 0
		if err == nil {
			var f func(string, int, int) *nn.LoRA
			if f, err = (Config{R: 2, Alpha: 4, Targets: targets}).Adapter(linears); err == nil {
				for _, l := range linears {
					if f(l.Path, l.In, l.Out) != nil {
						n++
					}
				}
			}
		}
		if n != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d linears, %v; want %d, %q", c.list, n, err, c.want, c.err)
		}
	}
	for _, c := range []Config{{R: 0, Alpha: 1}, {R: 1, Alpha: 0}, {R: 1, Alpha: 1, Dropout: 1}, {R: 1, Alpha: math.NaN()}} {
		c.Targets.All = true
		if _, err := c.Adapter(linears); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestScaleAndSalt(t *testing.T) {
	m := tiny(t)
	for _, c := range []struct {
		rs   bool
		want float64
	}{{false, 4}, {true, 8}} {
		salts := map[uint32]string{}
		for _, l := range adapted(t, m, Config{R: 4, Alpha: 16, UseRSLoRA: c.rs, Dropout: 0.1, Targets: Targets{All: true}}).Linears() {
			if l.LoRA.Scale != c.want {
				t.Errorf("rsLoRA %t: scale %g, want %g", c.rs, l.LoRA.Scale, c.want)
			}
			if o := salts[l.LoRA.Salt]; o != "" {
				t.Errorf("%s and %s share a salt", o, l.Path)
			}
			salts[l.LoRA.Salt] = l.Path
		}
	}
}

func TestInit(t *testing.T) {
	p := nn.Param{Name: "x.lora_A.weight", Shape: []int{64, 400}, Kind: nn.Adapter}
	a, b, other := make([]float32, 64*400), make([]float32, 64*400), make([]float32, 64*400)
	Init(p, 1, a)
	Init(p, 1, b)
	Init(p, 2, other)
	if !slices.Equal(a, b) || slices.Equal(a, other) {
		t.Error("the seed does not decide the values")
	}
	bound, sum, squares := 1/math.Sqrt(400.), 0.0, 0.0
	for _, v := range a {
		if math.Abs(float64(v)) > bound {
			t.Fatalf("%g lies outside ±%g", v, bound)
		}
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
	}
	n := float64(len(a))
	if v := squares / n; math.Abs(v/(bound*bound/3)-1) > 0.03 || math.Abs(sum/n) > bound/50 {
		t.Errorf("mean %g, variance %g; uniform in ±%g has 0, %g", sum/n, v, bound, bound*bound/3)
	}
	p.Name = "x.lora_B.weight"
	Init(p, 1, a)
	if slices.Max(a) != 0 || slices.Min(a) != 0 {
		t.Error("B is not zero")
	}
}

// values gives the adapter of a graph numbers that differ everywhere.
func values(b *nn.Builder) []model.Weight {
	var ws []model.Weight
	for _, p := range b.Params() {
		if p.Kind == nn.Adapter {
			w := model.Weight{Name: p.Name, Dtype: kernels.Float32, Shape: p.Shape}
			for i := range p.Shape[0] * p.Shape[1] {
				w.Data = binary.LittleEndian.AppendUint32(w.Data, math.Float32bits(float32(len(ws))+float32(i)/64))
			}
			ws = append(ws, w)
		}
	}
	return ws
}

func TestSaveLoad(t *testing.T) {
	m := tiny(t)
	for _, targets := range []Targets{{All: true}, {Names: []string{"q_proj"}}, {Regex: `.*v_proj`}} {
		c := Config{R: 2, Alpha: 3, Dropout: 0.5, UseRSLoRA: true, Targets: targets, BaseModel: "some/base"}
		b := adapted(t, m, c)
		dir, ws := filepath.Join(t.TempDir(), "adapter"), values(b)
		if err := Save(disk.OS(), dir, c, ws, Card{Recipe: "model: x\n", Facts: []Fact{{"template_sha256", "abc|d"}}}); err != nil {
			t.Fatal(err)
		}
		a, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if err := a.Check(c, b.Params()); err != nil {
			t.Error(err)
		}
		want := c
		if targets.All { // written as the names it stands for
			want.Targets = Targets{Names: []string{"down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"}}
		}
		if !reflect.DeepEqual(a.Config, want) {
			t.Errorf("read %+v, want %+v", a.Config, want)
		}
		for _, w := range ws {
			r, err := a.Weight(w.Name)
			if err != nil || !slices.Equal(r.Data, w.Data) || !slices.Equal(r.Shape, w.Shape) {
				t.Errorf("%s: %v", w.Name, err)
			}
		}
		card, _ := os.ReadFile(filepath.Join(dir, "README.md"))
		for _, want := range []string{`base_model: "some/base"`, "rank 2", "model: x", `abc\|d`} {
			if !strings.Contains(string(card), want) {
				t.Errorf("README.md does not say %q", want)
			}
		}
		if a.Metadata["template_sha256"] != "abc|d" {
			t.Errorf("metadata %v", a.Metadata)
		}
	}
}

func TestCheckNamesDifferences(t *testing.T) {
	m := tiny(t)
	c := Config{R: 16, Alpha: 32, Targets: Targets{Names: []string{"q_proj"}}, BaseModel: "x"}
	dir := filepath.Join(t.TempDir(), "adapter")
	if err := Save(disk.OS(), dir, c, values(adapted(t, m, c)), Card{}); err != nil {
		t.Fatal(err)
	}
	a, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	run := Config{R: 8, Alpha: 16, Targets: Targets{Names: []string{"v_proj"}}}
	err = a.Check(run, adapted(t, m, run).Params())
	for _, want := range []string{"rank 16 in the file, 8 in the run file; set lora.r: 16", "lora_alpha 32 in the file, 16 in the run file; set lora.alpha: 32",
		"missing model.layers.0.self_attn.v_proj.lora_A.weight [8 8]", "extra base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight [8 16]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	plain := `"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"]`
	for _, c := range []struct{ text, want string }{
		{plain, ""},
		{plain + `,"use_dora":false,"rank_pattern":{},"modules_to_save":null,"layers_to_transform":null,"new_field":null`, ""},
		{plain + `,"use_dora":true`, "use_dora = true is not supported"},
		{plain + `,"rank_pattern":{"q_proj":4}`, "rank_pattern"},
		{plain + `,"alpha_pattern":{"q_proj":4}`, "alpha_pattern"},
		{plain + `,"bias":"all"`, `bias = "all"`},
		{plain + `,"modules_to_save":["lm_head"]`, "modules_to_save"},
		{plain + `,"layers_to_transform":0`, "layers_to_transform"},
		{plain + `,"init_lora_weights":"pissa"`, "init_lora_weights"},
		{plain + `,"fan_in_fan_out":true`, "fan_in_fan_out"},
		{plain + `,"new_field":1`, "new_field"},
		{`"peft_type":"IA3","target_modules":["q_proj"]`, "peft_type"},
		{`"peft_type":"LORA","r":0,"lora_alpha":4,"target_modules":["q_proj"]`, "r is 0"},
		{`"peft_type":"LORA","r":2,"lora_alpha":-1,"target_modules":["q_proj"]`, "lora_alpha is -1"},
		{`"peft_type":"LORA","r":2,"lora_alpha":4`, "target_modules is"},
	} {
		_, err := parseConfig([]byte("{" + c.text + "}"))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want %q", c.text, err, c.want)
		}
	}
	if _, err := parseConfig([]byte("{" + plain + `,"use_dora":true}`)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("not ErrUnsupported: %v", err)
	}
}

// PEFT's own adapters are read, fit their models, and are written as PEFT wrote them.
func TestPEFTsAdapters(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(reftest.Path(t, "goldens"), "*", "adapter_final"))
	if err != nil || len(dirs) == 0 {
		t.Fatal("no reference adapters", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			a, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			m, err := model.ReadConfig(filepath.Join(dir, "..", "model"))
			if err != nil {
				t.Fatal(err)
			}
			b := adapted(t, m, a.Config)
			if err := a.Check(a.Config, b.Params()); err != nil {
				t.Fatal(err)
			}
			var ws []model.Weight
			for _, p := range b.Params() {
				if p.Kind == nn.Adapter {
					w, err := a.Weight(p.Name)
					if err != nil {
						t.Fatal(err)
					}
					ws = append(ws, w)
				}
			}
			out := filepath.Join(t.TempDir(), "adapter")
			if err := Save(disk.OS(), out, a.Config, ws, Card{}); err != nil {
				t.Fatal(err)
			}
			theirs, ours := fields(t, dir), fields(t, out)
			for k, v := range ours {
				if w, ok := theirs[k]; !ok || k != "target_modules" && string(v) != string(w) {
					t.Errorf("%s is %s, PEFT writes %s", k, v, w)
				}
			}
			f, err := safetensors.Open(filepath.Join(out, WeightsName))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			g, err := safetensors.Open(filepath.Join(dir, WeightsName))
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			for _, i := range g.Tensors() {
				if !slices.Equal(f.Data(i.Name), g.Data(i.Name)) {
					t.Errorf("%s differs from PEFT's", i.Name)
				}
			}
		})
	}
}

func fields(t *testing.T, dir string) map[string]json.RawMessage {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, ConfigName))
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	out := map[string]json.RawMessage{}
	for k, v := range raw {
		out[k], _ = json.Marshal(v)
	}
	return out
}

// FuzzParseConfig: whatever the text, an error or settings that can be used.
func FuzzParseConfig(f *testing.F) {
	f.Add(`{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"]}`)
	f.Add(`{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":"all-linear","rank_pattern":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig([]byte(text))
		if err == nil && (c.R <= 0 || !(c.Scale() > 0)) {
			t.Errorf("%s gives %+v", text, c)
		}
	})
}
