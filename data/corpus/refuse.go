package corpus

import (
	"errors"
	"fmt"
	"strings"

	"attune/data"
	"attune/data/chat"
	"attune/data/source"
)

// faults are the complaints about the rows of a file that are said once for all rows with the same fault, as a template has
// many: at the first row, with the number of them and the first lines.
type faults map[string]*fault

type fault struct {
	first *source.RowError
	rows  int
	lines []string // the first
}

// The most faults that are told apart, so that a file of a million rows with a fault each takes little memory, and the most
// lines named of one.
const (
	maxFaults  = 1000
	faultLines = 5
)

// add gives the complaint back if it is the first of its kind, nil if another stands for it.
func (f faults) add(err error) error {
	var bad *source.RowError
	if !errors.As(err, &bad) {
		return err
	}
	key := bad.What + "; " + bad.Do
	known := f[key]
	if known == nil && len(f) == maxFaults {
		return err
	}
	if known == nil {
		known = &fault{first: bad}
		f[key] = known
	}
	if known.rows++; len(known.lines) < faultLines {
		known.lines = append(known.lines, fmt.Sprint(bad.Line))
	}
	if known.rows > 1 {
		return nil
	}
	return err
}

// count puts into the complaints how many rows they are about.
func (f faults) count() {
	for _, r := range f {
		if r.rows > 1 {
			more := ""
			if r.rows > len(r.lines) {
				more = " ..."
			}
			r.first.What += fmt.Sprintf(" (%d rows: lines %s%s)", r.rows, strings.Join(r.lines, ", "), more)
		}
	}
}

// refused completes what is wrong with the rows of a file: by how many rows have a fault, and how many are too long.
func (b *builder) refused(err error) error {
	b.faults.count()
	var all *source.Errors
	if !errors.As(err, &all) || b.over == 0 || b.over == 1 && b.o.Overlength == chat.Refuse {
		return err
	}
	at := data.Position{File: b.report.Path}
	if b.o.Overlength == chat.Refuse {
		all.List = append(all.List, &source.RowError{Position: at, What: fmt.Sprintf("%d of %d rows are longer than %s %d", b.over, b.report.Rows, b.o.Names.MaxLength, b.o.MaxLength), Do: b.raise()})
	} else {
		all.List = append(all.List, &source.RowError{Position: at, What: "in all " + b.share(), Do: b.raise()})
	}
	return all
}
