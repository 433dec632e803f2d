package optim

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"attune/internal/reftest"
)

func TestSchedule(t *testing.T) {
	cosine := func(t float64) float64 { return (1 + math.Cos(math.Pi*t)) / 2 }
	for _, c := range []struct {
		s    Schedule
		step int
		want float64
	}{
		{Schedule{Constant, 0.5, 0, 4}, 0, 0.5},
		{Schedule{Constant, 0.5, 0, 4}, 3, 0.5},
		{Schedule{Constant, 0.5, 4, 8}, 0, 0.125},
		{Schedule{Constant, 0.5, 4, 8}, 2, 0.375},
		{Schedule{Constant, 0.5, 4, 8}, 3, 0.5},
		{Schedule{Constant, 0.5, 4, 8}, 7, 0.5},
		{Schedule{Linear, 1, 0, 4}, 0, 1},
		{Schedule{Linear, 1, 0, 4}, 3, 0.25},
		{Schedule{Linear, 1, 0, 4}, 4, 0},
		{Schedule{Linear, 1, 0, 4}, 9, 0}, // beyond the end
		{Schedule{Linear, 2, 2, 6}, 1, 2},
		{Schedule{Linear, 2, 2, 6}, 2, 2},
		{Schedule{Linear, 2, 2, 6}, 4, 1},
		{Schedule{Cosine, 1, 0, 4}, 0, 1},
		{Schedule{Cosine, 1, 0, 4}, 1, cosine(0.25)},
		{Schedule{Cosine, 1, 0, 4}, 2, 0.5},
		{Schedule{Cosine, 1, 1, 5}, 4, cosine(0.75)},
		{Schedule{Cosine, 1, 0, 4}, 40, 0},
		{Schedule{Linear, 1, 3, 3}, 2, 1}, // nothing but warm-up
		{Schedule{Linear, 1, 3, 3}, 3, 1},
	} {
		if err := c.s.Validate(); err != nil {
			t.Errorf("%+v: %v", c.s, err)
		}
		if got := c.s.LR(c.step); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%+v, step %d: %v, want %v", c.s, c.step, got, c.want)
		}
	}
}

// Whatever the schedule, the rate is between 0 and its top, rises in warm-up and never rises after it.
func TestScheduleShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{Name: rapid.SampledFrom(Schedules()).Draw(t, "name"), LearningRate: rapid.Float64Range(1e-9, 1).Draw(t, "lr"), Steps: rapid.IntRange(1, 300).Draw(t, "n")}
		s.Warmup = rapid.IntRange(0, s.Steps).Draw(t, "w")
		for step := range s.Steps {
			lr := s.LR(step)
			if lr < 0 || lr > s.LearningRate*(1+1e-12) {
				t.Fatalf("%+v, step %d: %v", s, step, lr)
			}
			if step > 0 && step < s.Warmup && lr <= s.LR(step-1) || step > s.Warmup && lr > s.LR(step-1) {
				t.Fatalf("%+v, step %d: %v after %v", s, step, lr, s.LR(step-1))
			}
		}
	})
}

func TestScheduleValidate(t *testing.T) {
	good := Schedule{Cosine, 1e-3, 2, 10}
	for want, change := range map[string]func(*Schedule){
		"schedule \"cosin\"": func(s *Schedule) { s.Name = "cosin" },
		"learning rate NaN":  func(s *Schedule) { s.LearningRate = math.NaN() },
		"learning rate -1":   func(s *Schedule) { s.LearningRate = -1 },
		"0 steps":            func(s *Schedule) { s.Steps = 0 },
		"11 warm-up":         func(s *Schedule) { s.Warmup = 11 },
		"-1 warm-up":         func(s *Schedule) { s.Warmup = -1 },
	} {
		s := good
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
}

// transformers: math.ceil(num_training_steps * warmup_ratio).
func TestWarmupSteps(t *testing.T) {
	for _, c := range []struct {
		ratio       float64
		steps, want int
	}{{0, 100, 0}, {0.03, 100, 3}, {0.03, 101, 4}, {0.1, 5, 1}, {1, 7, 7}} {
		if got := WarmupSteps(c.ratio, c.steps); got != c.want {
			t.Errorf("%v of %d steps: %d, want %d", c.ratio, c.steps, got, c.want)
		}
	}
}

// The learning rates of the reference runs.
func TestScheduleGoldens(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(reftest.Path(t, "goldens"), "*", "recipe.json"))
	if err != nil || len(cases) == 0 {
		t.Fatal("no reference runs", err)
	}
	for _, name := range cases {
		var recipe struct {
			Steps        int
			LearningRate float64 `json:"learning_rate"`
			Schedule     string
			Warmup       int `json:"warmup_steps"`
		}
		var expected struct {
			Steps []struct{ LR float64 }
		}
		for file, into := range map[string]any{name: &recipe, filepath.Join(filepath.Dir(name), "expected.json"): &expected} {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, into); err != nil {
				t.Fatal(err)
			}
		}
		s := Schedule{Name: recipe.Schedule, LearningRate: recipe.LearningRate, Warmup: recipe.Warmup, Steps: recipe.Steps}
		if len(expected.Steps) != recipe.Steps {
			t.Fatalf("%s: %d steps, recipe says %d", name, len(expected.Steps), recipe.Steps)
		}
		for i, e := range expected.Steps {
			if got := s.LR(i); math.Abs(got-e.LR) > 1e-15 {
				t.Errorf("%s, step %d: %v, want %v", name, i, got, e.LR)
			}
		}
	}
}
