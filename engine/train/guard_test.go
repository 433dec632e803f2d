package train

import (
	"math"
	"strings"
	"testing"

	"attune/engine/checkpoint"

	"pgregory.net/rapid"
)

// A step is judged as the definition says: by the mean and the standard deviation of the steps taken before it, of the newest
// Window of them, once there are enough.
func TestJudge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Guard{Spike: Skip, ZScore: rapid.Float64Range(0.5, 8).Draw(t, "zscore"), Window: rapid.IntRange(8, 40).Draw(t, "window")}
		var seen *checkpoint.GuardState
		var losses, norms []float64 // of all steps taken
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			loss := rapid.Float64Range(0, 10).Draw(t, "loss")
			norm := rapid.Float64Range(0, 3).Draw(t, "norm")
			v := g.judge(seen, loss, norm)
			a, b := deviations(losses, g.Window, loss), deviations(norms, g.Window, norm)
			if near := 1e-6; math.Abs(a-g.ZScore) < near || math.Abs(b-g.ZScore) < near {
				continue
			}
			if spike := a > g.ZScore || b > g.ZScore; spike != (v.policy == Skip) || !v.finite {
				t.Fatalf("loss %g (%g deviations), norm %g (%g) after %d steps: %+v", loss, a, norm, b, len(losses), v)
			}
			if v.policy == Skip {
				if what := map[bool]string{true: "gradient norm ", false: "loss "}[b > a]; !strings.HasPrefix(v.why, "spike: "+what) {
					t.Fatalf("%g and %g deviations: %q", a, b, v.why)
				}
				continue
			}
			before := known(seen)
			seen = g.took(seen, loss, norm)
			losses, norms = append(losses, loss), append(norms, norm)
			if n := min(len(losses), g.Window); len(seen.Losses) != n || len(seen.Norms) != n || len(before.Losses) > n {
				t.Fatalf("a window of %d and %d after %d steps", len(seen.Losses), len(seen.Norms), len(losses))
			}
		}
	})
}

// deviations is how far x is above the mean of the newest n values, in standard deviations: √(Σ(v-mean)²/(n-1)).
func deviations(all []float64, n int, x float64) float64 {
	w := all[max(0, len(all)-n):]
	if len(w) < 8 || 2*len(w) < n-1 {
		return math.Inf(-1)
	}
	var sum, squares float64
	for _, v := range w {
		sum += v
		squares += v * v
	}
	count := float64(len(w))
	mean := sum / count
	return (x - mean) / max(math.Sqrt(max(0, squares-count*mean*mean)/(count-1)), mean/1000)
}

// What is no number is judged before the window is full, loss and norm alike; without a policy the run stops.
func TestJudgeNonFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, p := range []Policy{Stop, Skip, Rollback, ""} {
			g := Guard{NonFinite: p}
			want := p
			if p == "" {
				want = Stop
			}
			for says, v := range map[string]verdict{"the loss is ": g.judge(nil, bad, 1), "the gradient's norm is ": g.judge(nil, 1, bad)} {
				if v.policy != want || v.finite || !strings.HasPrefix(v.why, says) {
					t.Errorf("%q, %g: %+v", p, bad, v)
				}
			}
		}
	}
	if v := (Guard{}).judge(&checkpoint.GuardState{Losses: make([]float64, 8), Norms: make([]float64, 8)}, 1e30, 1e30); v.policy != Off {
		t.Errorf("spikes are not looked for: %+v", v)
	}
}

// Losses that are as good as equal have no spikes but those worth the name.
func TestJudgeSteady(t *testing.T) {
	same := func(x float64) *checkpoint.GuardState {
		s := &checkpoint.GuardState{}
		for range 8 {
			s.Losses, s.Norms = append(s.Losses, x), append(s.Norms, x)
		}
		return s
	}
	g := Guard{Spike: Stop, ZScore: 6, Window: 8}
	for _, c := range []struct {
		was, is float64
		spike   bool
	}{{2, 2, false}, {2, 2.011, false}, {2, 2.013, true}, {2, 0, false}, {0, 0, false}, {0, 1e-9, true}} {
		if v := g.judge(same(c.was), c.is, c.was); (v.policy == Stop) != c.spike {
			t.Errorf("%g after %g: %+v", c.is, c.was, v)
		}
	}
}

// An error stays readable however often steps were left out before.
func TestSpansThatAreTold(t *testing.T) {
	var skipped []checkpoint.Span
	for step := range toldSpans + 3 {
		skipped = append(skipped, checkpoint.Span{From: 10 * step, To: 10*step + step%2, Why: "a spike"})
	}
	if got := spans(skipped); !strings.HasPrefix(got, "3 before; steps 30 to 31: a spike; step 40: a spike; ") || !strings.HasSuffix(got, "; step 120: a spike") {
		t.Error(got)
	}
	if got := spans(skipped[:1]); got != "step 0: a spike" {
		t.Error(got)
	}
}
