package jinja

// step counts one unit of work.
func (r *run) step() error {
	if r.steps--; r.steps < 0 {
		return limit("the template takes too many steps")
	}
	return nil
}

// spend counts bytes before they are made.
func (r *run) spend(n int) error {
	if n > r.bytes || n < 0 {
		return limit("the template makes too much text")
	}
	r.bytes -= n
	return nil
}

func (r *run) enter() error {
	if r.depth--; r.depth < 0 {
		return limit("the template nests or recurses too deeply")
	}
	return r.step()
}

func (r *run) leave() { r.depth++ }

// spendSteps counts n units of work at once.
func (r *run) spendSteps(n int) error {
	if r.steps -= n; r.steps < 0 || n < 0 {
		return limit("the template takes too many steps")
	}
	return nil
}

// maxValueDepth bounds lists within lists, so that walking a value is bounded.
const maxValueDepth = 500

// work counts the size of a value that is about to be walked through.
func (r *run) work(v Value) error { return r.walk(v, 0) }

func (r *run) walk(v Value, depth int) error {
	if err := r.step(); err != nil {
		return err
	}
	if depth > maxValueDepth {
		return limit("a value nests deeper than %d levels", maxValueDepth)
	}
	var items []Value
	switch v := v.(type) {
	case *Str:
		return r.spendSteps(len(v.s) / 64)
	case *Dict:
		items = v.vals
	default:
		items, _ = sequence(v)
	}
	for _, it := range items {
		if err := r.walk(it, depth+1); err != nil {
			return err
		}
	}
	return nil
}
