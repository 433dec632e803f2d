package config

import (
	"fmt"
	"os"
	"reflect"
)

// validate adds a complaint for every value that cannot be run, and for every file that is not there. Keys that have one
// already get no second.
func (c *Config) validate(p *problems) {
	values(reflect.ValueOf(*c), "", func(path string, f field, v reflect.Value) {
		if f.need != "" {
			p.need(v.Len() > 0, path, "%s", f.need)
		}
		if x, ok := toFloat(v.Interface()); ok {
			must := f.exceeded(x)
			p.need(must == "", path, "is %v; %s", v, must)
		}
	})
	p.need(c.Model == "" || isDir(c.Model), "model", "%s is not a directory", c.Model)
	for i, s := range c.Data.Train {
		p.need(s.Path == "" || isFile(s.Path), fmt.Sprintf("data.train[%d].path", i), "%s is not a file", s.Path)
	}
	for i, s := range c.Data.Eval {
		p.need(s.Path == "" || isFile(s.Path), fmt.Sprintf("data.eval[%d].path", i), "%s is not a file", s.Path)
	}
	p.need(c.Train.Epochs > 0 || c.Train.Steps != 0, "train.epochs", "is %g; set it, or train.steps, over 0", c.Train.Epochs)

	if c.Method == "lora" {
		p.need(c.LoRA.InitFrom == "" || isDir(c.LoRA.InitFrom), "lora.init_from", "%s is not a directory", c.LoRA.InitFrom)
	} else {
		lora, unset := reflect.ValueOf(c.LoRA), reflect.ValueOf(Default().LoRA)
		for _, f := range fieldsOf(lora.Type()) {
			v := lora.Field(f.index)
			p.need(reflect.DeepEqual(v.Interface(), unset.Field(f.index).Interface()), "lora."+f.key,
				"is %s, but method %s trains no adapter; remove it, or set method: lora", scalar(f, v), c.Method)
		}
	}
	c.validateEval(p)
	c.validateGuard(p)
}

// validateEval is about the keys that need held-out rows and evaluations during training.
func (c *Config) validateEval(p *problems) {
	e := c.Eval
	if e.EarlyStoppingPatience > 0 || e.LoadBestModelAtEnd {
		p.need(len(c.Data.Eval) > 0, "data.eval", "is empty, but early stopping and load_best_model_at_end need held-out rows")
	}
	if e.EarlyStoppingPatience > 0 && !p.known("eval.every") {
		p.need(e.Every > 0, "eval.early_stopping_patience", "is %d, but eval.every is 0, and nothing is evaluated on the way; set eval.every over 0", e.EarlyStoppingPatience)
	}
}

// validateGuard is about checkpoints that a run can go back to.
func (c *Config) validateGuard(p *problems) {
	for _, g := range []struct{ key, policy string }{{"guard.nonfinite", c.Guard.NonFinite}, {"guard.spike", c.Guard.Spike}} {
		if g.policy == "rollback" && !p.known("checkpoint.every") {
			p.need(c.Checkpoint.Every > 0, g.key, "is rollback, but checkpoint.every is 0, and there is nothing to go back to; set checkpoint.every over 0, or %s: skip", g.key)
		}
	}
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}
