package peft

import (
	"fmt"
	"strings"
	"testing"

	"attune/engine/nn"
	"attune/internal/hostiletest"
)

// Targets that would take for ever are refused in one sentence.
func TestHostileTargets(t *testing.T) {
	var linears []nn.Linear
	for i := range 500 {
		linears = append(linears, nn.Linear{Path: fmt.Sprintf("model.layers.%d.self_attn.q_proj", i)})
	}
	var many []string
	for i := range maxNames + 1 {
		many = append(many, fmt.Sprint(i))
	}
	for name, c := range map[string]struct {
		targets Targets
		want    string
	}{
		"long path":   {Targets{Names: []string{strings.Repeat("x", 1<<20)}}, "no such linear"},
		"names":       {Targets{Names: many}, "names"},
		"other names": {Targets{Names: many[:1000]}, "no such linear"},
		"expression":  {Targets{Regex: strings.Repeat("x", maxRegex+1)}, "bytes"},
		"wrong":       {Targets{Regex: strings.Repeat("(", maxRegex)}, "target_modules"},
		"nothing":     {Targets{Regex: strings.Repeat("x", maxRegex)}, "no linear"},
		"endless":     {Targets{Regex: `((\w+)+\.?)+!`}, "takes more than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Config{R: 1, Alpha: 1, Targets: c.targets}.Adapter(linears)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 4<<10 || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %.600v; want %q in one sentence", err, c.want)
			}
		})
	}
}

func TestFilesAreRegular(t *testing.T) {
	for _, name := range []string{ConfigName, WeightsName} {
		for _, target := range []string{"pipe", "/dev/zero"} {
			dir, _ := written(t, onQuery)
			hostiletest.Link(t, dir, name, target)
			if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "a regular file is needed") {
				t.Errorf("%s is a link to %s: %v", name, target, err)
			}
		}
	}
}
