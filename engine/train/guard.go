package train

import (
	"fmt"
	"math"
	"slices"

	"attune/engine/checkpoint"
)

// Policy is what is done about a step whose numbers go wrong. A step that is left out changes neither the weights nor the
// optimizer; the learning rate goes on by the step, AdamW's bias correction by the updates.
type Policy string

// The policies, in the words of the run file.
const (
	Off      Policy = "off"      // the step is taken
	Stop     Policy = "stop"     // the run ends
	Skip     Policy = "skip"     // the step is left out
	Rollback Policy = "rollback" // the run goes back to the newest scheduled checkpoint, and leaves out all steps since, this one too
)

// Guard watches the loss and the norm of the gradient of each step, before the weights are changed by it.
type Guard struct {
	NonFinite Policy  // where one of them is no finite number; "" = Stop
	Spike     Policy  // where one of them is a spike; "" = Off
	ZScore    float64 // a spike is so many standard deviations above the mean of the window
	Window    int     // the newest steps that were taken, by which a spike is judged
	Most      int     // times a run may leave steps out or go back
	Name      bool    // name what was not finite first where a step is left out, too; Stop names it always
}

// verdict is what judge says of a step; Off = it is taken.
type verdict struct {
	policy Policy
	finite bool
	why    string
}

// fewest is how many steps a spike is judged by at least.
const fewest = 8

// judge says what is to be done about a step of this loss and this norm of the gradient, NaN where the loss was no number
// and the norm was not asked for. A spike is a loss or a norm that is more than ZScore standard deviations above the mean of
// those in the window, once it is half full, and has eight; what falls is none. (After OLMo-core's SkipStepOptimizer.)
func (g Guard) judge(seen *checkpoint.GuardState, loss, norm float64) verdict {
	if !isFinite(loss) {
		return verdict{policy: orStop(g.NonFinite), why: fmt.Sprintf("the loss is %g", loss)}
	}
	if !isFinite(norm) {
		return verdict{policy: orStop(g.NonFinite), why: fmt.Sprintf("the gradient's norm is %g", norm)}
	}
	taken := verdict{policy: Off, finite: true}
	if !g.spikes() || seen == nil || len(seen.Losses) < max(fewest, g.Window/2) {
		return taken
	}
	what, x, z := "loss", loss, zscore(seen.Losses, loss)
	if zn := zscore(seen.Norms, norm); zn > z {
		what, x, z = "gradient norm", norm, zn
	}
	if !(z > g.ZScore) {
		return taken
	}
	return verdict{policy: g.Spike, finite: true, why: fmt.Sprintf("spike: %s %.4g is %.3g standard deviations above the last %d", what, x, z, len(seen.Losses))}
}

func (g Guard) spikes() bool { return g.Spike != "" && g.Spike != Off }

func (g Guard) rollsBack() bool { return g.NonFinite == Rollback || g.Spike == Rollback }

func orStop(p Policy) Policy {
	if p == "" {
		return Stop
	}
	return p
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// steady is the least standard deviation, as a share of the mean: where all values are as good as equal, rounding is no spike.
const steady = 1e-3

// zscore is how many standard deviations (of a sample, n-1) x is above the mean of the window.
func zscore(window []float64, x float64) float64 {
	n := float64(len(window))
	var mean, squares float64
	for _, v := range window {
		mean += v / n
	}
	for _, v := range window {
		squares += (v - mean) * (v - mean)
	}
	deviation := max(math.Sqrt(squares/(n-1)), steady*math.Abs(mean))
	if deviation == 0 && x == mean {
		return 0
	}
	return (x - mean) / deviation
}

// took is what is known after a step was taken. What was known before stays as it is: a checkpoint may be written from it.
func (g Guard) took(seen *checkpoint.GuardState, loss, norm float64) *checkpoint.GuardState {
	if !g.spikes() {
		return seen
	}
	next := known(seen)
	next.Losses = newest(next.Losses, g.Window, loss)
	next.Norms = newest(next.Norms, g.Window, norm)
	return &next
}

func known(seen *checkpoint.GuardState) checkpoint.GuardState {
	if seen == nil {
		return checkpoint.GuardState{}
	}
	return *seen
}

// newest is a window with x behind it, no longer than n.
func newest(window []float64, n int, x float64) []float64 {
	return append(slices.Clone(window[max(0, len(window)+1-n):]), x)
}
