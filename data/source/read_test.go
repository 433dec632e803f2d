package source

import (
	"errors"
	"testing"

	"attune/data"
)

// each is Reader.Each of a file; what Open complains of is a complaint like others.
func each(t *testing.T, path string, o Options, f func(data.Conversation) error) error {
	t.Helper()
	r, err := Open(t.Context(), path, o)
	var bad *RowError
	if errors.As(err, &bad) {
		return &Errors{List: []*RowError{bad}}
	}
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Each(f)
}

// readAll is every row of a file, where each finds nothing wrong.
func readAll(t *testing.T, path string, o Options) (rows []data.Conversation, err error) {
	t.Helper()
	err = each(t, path, o, func(c data.Conversation) error {
		rows = append(rows, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}
