package peft

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// configFile is what attune writes into adapter_config.json: the fields every version of PEFT since LoRA's rank
// patterns knows, in alphabetical order as PEFT writes them.
type configFile struct {
	AlphaPattern      struct{} `json:"alpha_pattern"`
	AutoMapping       any      `json:"auto_mapping"`
	BaseModel         string   `json:"base_model_name_or_path"`
	Bias              string   `json:"bias"`
	FanInFanOut       bool     `json:"fan_in_fan_out"`
	InferenceMode     bool     `json:"inference_mode"`
	InitLoRAWeights   bool     `json:"init_lora_weights"`
	LayersPattern     any      `json:"layers_pattern"`
	LayersToTransform any      `json:"layers_to_transform"`
	LoRAAlpha         float64  `json:"lora_alpha"`
	LoRADropout       float64  `json:"lora_dropout"`
	ModulesToSave     any      `json:"modules_to_save"`
	PeftType          string   `json:"peft_type"`
	R                 int      `json:"r"`
	RankPattern       struct{} `json:"rank_pattern"`
	Revision          any      `json:"revision"`
	TargetModules     any      `json:"target_modules"`
	TaskType          string   `json:"task_type"`
	UseDoRA           bool     `json:"use_dora"`
	UseRSLoRA         bool     `json:"use_rslora"`
}

// encode is adapter_config.json. targets are the names that All stands for: vLLM wants a list.
func (c Config) encode(targets []string) ([]byte, error) {
	f := configFile{BaseModel: c.BaseModel, Bias: "none", InferenceMode: true, InitLoRAWeights: true, LoRAAlpha: c.Alpha,
		LoRADropout: c.Dropout, PeftType: "LORA", R: c.R, TaskType: "CAUSAL_LM", UseRSLoRA: c.UseRSLoRA}
	switch {
	case c.Targets.Regex != "":
		f.TargetModules = c.Targets.Regex
	case c.Targets.All:
		f.TargetModules = targets
	default:
		f.TargetModules = c.Targets.Names
	}
	b, err := json.MarshalIndent(f, "", "  ")
	return append(b, '\n'), err
}

// harmless are fields of adapter_config.json that may hold anything: they do not change what the adapter computes, or
// are read elsewhere.
var harmless = []string{"auto_mapping", "base_model_name_or_path", "ensure_weight_tying", "inference_mode", "lora_alpha",
	"lora_dropout", "megatron_core", "peft_version", "qalora_group_size", "r", "revision", "runtime_config",
	"target_modules", "use_rslora"}

// parseConfig reads adapter_config.json. Whatever in it changes the adapter in a way attune does not know is an error
// naming the field: a field is harmless, or must have one of the values listed, or be null, false or empty.
func parseConfig(b []byte) (Config, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return Config{}, err
	}
	allowed := map[string][]string{"peft_type": {`"LORA"`}, "task_type": {`"CAUSAL_LM"`}, "bias": {`"none"`},
		"init_lora_weights": {"true", `"gaussian"`, `"orthogonal"`, `"eva"`, `"mica"`}}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := strings.TrimSpace(string(m[k]))
		empty := slices.Contains([]string{"null", "false", `""`, "{}", "[]"}, v)
		if !empty && !slices.Contains(harmless, k) && !slices.Contains(allowed[k], v) {
			return Config{}, fmt.Errorf("%s = %.60s is %w", k, v, ErrUnsupported)
		}
	}
	var f struct {
		PeftType      string          `json:"peft_type"`
		BaseModel     *string         `json:"base_model_name_or_path"`
		R             int             `json:"r"`
		LoRAAlpha     float64         `json:"lora_alpha"`
		LoRADropout   float64         `json:"lora_dropout"`
		UseRSLoRA     bool            `json:"use_rslora"`
		TargetModules json.RawMessage `json:"target_modules"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return Config{}, err
	}
	if f.PeftType != "LORA" {
		return Config{}, fmt.Errorf("peft_type is %q; there is LORA", f.PeftType)
	}
	if f.R <= 0 || f.R > 1<<20 {
		return Config{}, fmt.Errorf("r is %d; it must be at least 1", f.R)
	}
	if !(f.LoRAAlpha > 0) || math.IsInf(f.LoRAAlpha, 0) {
		return Config{}, fmt.Errorf("lora_alpha is %g; it must be positive", f.LoRAAlpha)
	}
	c := Config{R: f.R, Alpha: f.LoRAAlpha, Dropout: f.LoRADropout, UseRSLoRA: f.UseRSLoRA}
	if f.BaseModel != nil {
		c.BaseModel = *f.BaseModel
	}
	var one string
	if json.Unmarshal(f.TargetModules, &one) == nil && one != "" {
		c.Targets = Targets{Regex: one}
		if one == allLinear {
			c.Targets = Targets{All: true}
		}
		return c, nil
	}
	if err := json.Unmarshal(f.TargetModules, &c.Targets.Names); err != nil || len(c.Targets.Names) == 0 {
		return Config{}, fmt.Errorf("target_modules is %.60s; it must be a list of names or a regular expression", f.TargetModules)
	}
	slices.Sort(c.Targets.Names)
	return c, nil
}
