package main

import (
	"context"
	"errors"

	"attune/data/corpus"
	"attune/data/source"
	"attune/engine/exec"
	"attune/engine/session"
	"attune/internal/config"
)

// errInterrupted ends a run that a signal stopped; its state is saved.
var errInterrupted = errors.New("interrupted; the state is saved, go on with --resume")

// exitCode is the one place where an error becomes a number.
func exitCode(err error) int {
	var (
		cfg  *config.Error
		rows *corpus.Error
		row  *source.RowError
		part *partError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &part):
		return part.code
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case isUsage(err), errors.As(err, &cfg):
		return exitUsage
	case errors.As(err, &rows), errors.As(err, &row):
		return exitData
	case errors.Is(err, session.ErrNoDevice), errors.Is(err, exec.ErrMemory):
		return exitDevice
	}
	return exitFailed
}
