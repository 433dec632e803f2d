package train

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A best state that cannot be read at the end costs the run its best state and nothing else: it ends with the last one, and
// says so.
func TestBestStateIsDamaged(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"gone": os.RemoveAll,
		"torn": func(dir string) error { return os.Truncate(filepath.Join(dir, "weights.safetensors"), 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, Options{EvalEvery: 4, LoadBest: true, Store: store(t.TempDir(), 1), Identity: map[string]string{"model": "m"}})
			bestAt8(r)
			var last map[string][]byte
			r.Events.OnEval = func(e Evaluation) error {
				last = weights(t, r)
				if e.Step == steps {
					return damage(r.Store.Dir(8))
				}
				return nil
			}
			res := mustTrain(t, r)
			if res.BestStep != 8 || res.LoadedBest || res.Trained.Steps != steps || res.Trained.Identity["model"] != "m" || *res.Trained.Eval != *res.LastEval {
				t.Errorf("%+v", res)
			}
			if res.BestDamaged == nil || !strings.Contains(res.BestDamaged.Error(), "step-000008") {
				t.Errorf("the damage is told as %v", res.BestDamaged)
			}
			if !reflect.DeepEqual(weights(t, r), last) {
				t.Error("the weights are not those of the last step")
			}
		})
	}
}
