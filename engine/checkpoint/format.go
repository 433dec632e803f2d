package checkpoint

import (
	"encoding/json"
	"fmt"
)

// maxState bounds state.json, in bytes; it has some thousand.
const maxState = 4 << 20

// encodeState is the state.json of a state, in the format of today.
func encodeState(st State) ([]byte, error) {
	st.Format, st.Random.Order, st.Random.Dropout = Format, orderScheme, dropoutScheme
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stateName, err)
	}
	if len(b) >= maxState {
		return nil, fmt.Errorf("%s would take %d bytes; it is read up to %d", stateName, len(b), maxState)
	}
	return append(b, '\n'), nil
}

// decodeState reads a state.json of any known format, with the hashes of the other files that format 1 keeps in it. What
// is damaged is ErrCorrupt; what another version of attune wrote is not.
func decodeState(b []byte, step int) (State, sums, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return State{}, nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, stateName, err)
	}
	if version.Format > Format { // before anything else is read: it may be otherwise there
		return State{}, nil, fmt.Errorf("checkpoint format %d; this version of attune reads formats 1 to %d: %s", version.Format, Format, cure)
	}
	var st struct {
		State
		Files sums `json:"files"`
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return State{}, nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, stateName, err)
	}
	if st.Format == 1 { // no step could be skipped, and there was one scheme of each kind
		st.Updates, st.Random = st.Step, Random{Order: 1, Dropout: 1}
	}
	switch {
	case st.Format < 1:
		return State{}, nil, fmt.Errorf("%w: %s has no format", ErrCorrupt, stateName)
	case st.Step != step:
		return State{}, nil, fmt.Errorf("%w: %s is of step %d", ErrCorrupt, stateName, st.Step)
	case st.Updates < 0 || st.Updates > st.Step:
		return State{}, nil, fmt.Errorf("%w: %s has %d updates in %d steps", ErrCorrupt, stateName, st.Updates, st.Step)
	case !st.Guard.sound():
		return State{}, nil, fmt.Errorf("%w: %s: what the guard saw and left out does not fit together", ErrCorrupt, stateName)
	case st.Random.Order != orderScheme:
		return State{}, nil, fmt.Errorf("version %d of the order of rows; this version of attune has %d: %s", st.Random.Order, orderScheme, cure)
	case st.Random.Dropout != dropoutScheme:
		return State{}, nil, fmt.Errorf("version %d of dropout; this version of attune has %d: %s", st.Random.Dropout, dropoutScheme, cure)
	}
	return st.State, st.Files, nil
}

// sound says whether a run may have come to it.
func (g *GuardState) sound() bool {
	if g == nil {
		return true
	}
	last := 0
	for _, s := range g.Skipped {
		if s.From < 1 || s.From > s.To || s.To < last {
			return false
		}
		last = s.To
	}
	return len(g.Losses) == len(g.Norms) && g.Interventions == len(g.Skipped)
}

const cure = "resume with the version that wrote it, or take another run_dir"
