// Package peft is LoRA in the layout of Hugging Face's PEFT: which linears carry an adapter, how it starts, and the
// directory it is read from and written to (adapter_config.json, adapter_model.safetensors, README.md), which
// PeftModel.from_pretrained and vLLM load.
package peft

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"attune/engine/nn"
	"attune/internal/rng"

	"github.com/dlclark/regexp2"
)

// ErrUnsupported marks adapters that use something of PEFT's that attune does not have.
var ErrUnsupported = errors.New("not supported")

// allLinear is the target_modules word for every linear layer but the output head.
const allLinear = "all-linear"

// Config is an adapter's settings, in PEFT's words.
type Config struct {
	R         int     // r, the rank
	Alpha     float64 // lora_alpha
	Dropout   float64 // lora_dropout
	UseRSLoRA bool    // use_rslora: scale alpha/sqrt(r) (Kalajdzievski 2023, arXiv:2312.03732) instead of alpha/r
	Targets   Targets // target_modules
	BaseModel string  // base_model_name_or_path
}

// Targets says which linears carry the adapter, as PEFT's target_modules does: one of the three.
type Targets struct {
	All   bool     // every linear layer but the output head
	Names []string // a linear is meant if its path is one of these or ends with "." and one of these
	Regex string   // a linear is meant if this matches its whole path
}

// ParseTargets reads target_modules as a run file has it: ["all-linear"], a list of names, or one regular expression,
// told from a name by its characters.
func ParseTargets(list []string) (Targets, error) {
	if slices.Contains(list, allLinear) {
		if len(list) > 1 {
			return Targets{}, fmt.Errorf("target_modules %q: %s stands alone", list, allLinear)
		}
		return Targets{All: true}, nil
	}
	if len(list) == 0 {
		return Targets{}, fmt.Errorf("target_modules is empty; set %s or names such as [q_proj, v_proj]", allLinear)
	}
	for _, s := range list {
		if strings.ContainsAny(s, `*+?[](){}|^$\`) {
			if len(list) > 1 {
				return Targets{}, fmt.Errorf("target_modules %q: %q is a regular expression and must stand alone", list, s)
			}
			return Targets{Regex: s}, nil
		}
	}
	names := slices.Clone(list)
	slices.Sort(names)
	return Targets{Names: slices.Compact(names)}, nil
}

// Scale is the factor of B·A: alpha/r, or alpha/sqrt(r) with rsLoRA.
func (c Config) Scale() float64 {
	if c.UseRSLoRA {
		return c.Alpha / math.Sqrt(float64(c.R))
	}
	return c.Alpha / float64(c.R)
}

// Adapter resolves the targets against the model's linears and gives what nn.Options.Adapter wants. A target that meets
// no linear is an error that names those there are.
func (c Config) Adapter(linears []nn.Linear) (func(path string, in, out int) *nn.LoRA, error) {
	switch {
	case c.R <= 0:
		return nil, fmt.Errorf("lora: r is %d; it must be at least 1", c.R)
	case !(c.Alpha > 0) || math.IsInf(c.Alpha, 0):
		return nil, fmt.Errorf("lora: alpha is %g; it must be positive", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return nil, fmt.Errorf("lora: dropout is %g; it must be at least 0 and below 1", c.Dropout)
	}
	paths, err := c.Targets.resolve(linears)
	if err != nil {
		return nil, err
	}
	return func(path string, _, _ int) *nn.LoRA {
		if !paths[path] {
			return nil
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(path)) // a hash never fails
		return &nn.LoRA{Rank: c.R, Scale: c.Scale(), Dropout: c.Dropout, Salt: h.Sum32()}
	}, nil
}

// Bounds on target_modules, which may be anyone's: a model has up to some thousand linears.
const (
	maxNames   = 1 << 14
	shownNames = 10       // of those that no linear has
	maxRegex   = 16 << 10 // bytes
	matchTime  = 2 * time.Second
)

// resolve is the set of paths meant.
func (t Targets) resolve(linears []nn.Linear) (map[string]bool, error) {
	paths := map[string]bool{}
	switch {
	case t.All:
		for _, l := range linears {
			paths[l.Path] = true
		}
	case t.Regex != "":
		if len(t.Regex) > maxRegex {
			return nil, fmt.Errorf("lora: target_modules is a regular expression of %d bytes; at most %d are expected", len(t.Regex), maxRegex)
		}
		re, err := regexp2.Compile(`\A(?:`+t.Regex+`)\z`, regexp2.None)
		if err != nil {
			return nil, fmt.Errorf("lora: target_modules %.200q: %.300v", t.Regex, err)
		}
		end := time.Now().Add(matchTime) // for all paths together: there may be thousands
		for _, l := range linears {
			re.MatchTimeout = max(time.Until(end), time.Millisecond)
			ok, err := re.MatchString(l.Path)
			if err != nil {
				return nil, fmt.Errorf("lora: target_modules %.200q takes more than %v, last on %s; write it with fewer repetitions", t.Regex, matchTime, l.Path)
			}
			if ok {
				paths[l.Path] = true
			}
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("lora: target_modules %.200q matches no linear layer; paths look like %s", t.Regex, linears[0].Path)
		}
	default:
		if len(t.Names) > maxNames {
			return nil, fmt.Errorf("lora: target_modules has %d names; at most %d are expected", len(t.Names), maxNames)
		}
		var unknown []string
		for _, name := range t.Names {
			found := false
			for _, l := range linears {
				if l.Path == name || strings.HasSuffix(l.Path, "."+name) {
					paths[l.Path], found = true, true
				}
			}
			if !found && len(unknown) < shownNames {
				unknown = append(unknown, name[:min(len(name), 200)])
			}
		}
		if len(unknown) > 0 || len(t.Names) == 0 {
			return nil, fmt.Errorf("lora: target_modules %q: no such linear layer; there are %s, and %s for all of them",
				unknown, strings.Join(suffixes(linears), ", "), allLinear)
		}
	}
	return paths, nil
}

// suffixes are the last words of the linears' paths, sorted, each once.
func suffixes(linears []nn.Linear) []string {
	var s []string
	for _, l := range linears {
		s = append(s, l.Path[strings.LastIndexByte(l.Path, '.')+1:])
	}
	slices.Sort(s)
	return slices.Compact(s)
}

// Init writes the adapter weight p's first values into dst, as PEFT does: A uniform in ±1/sqrt(in) (kaiming_uniform with
// a = sqrt 5), B zero, so that the adapted model begins as the base model. The numbers depend on seed and p's name only.
func Init(p nn.Param, seed uint64, dst []float32) {
	if strings.HasSuffix(p.Name, suffixB) {
		clear(dst)
		return
	}
	bound, r := 1/math.Sqrt(float64(p.Shape[1])), rng.New(seed, rng.Hash(p.Name))
	for i := range dst {
		dst[i] = float32((2*r.Float64() - 1) * bound)
	}
}

const (
	suffixA = ".lora_A.weight"
	suffixB = ".lora_B.weight"
)
