// Package ptytest gives the tests of what is shown on a terminal one to show it on. It is for tests only.
package ptytest

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
)

// Open makes a terminal of so many columns. written closes it, for when its last writer is done, and gives the lines that
// were written: what stands between two carriage returns or line feeds. A system on which no terminal can be made skips
// the test.
func Open(t *testing.T, columns int) (tty *os.File, written func() []string) {
	t.Helper()
	other, tty, err := pair(columns)
	if err != nil {
		t.Skip("needs a pseudo-terminal: ", err)
	}
	var all bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() {
		_, _ = io.Copy(&all, other) // ends with an error once nobody has the terminal open
	})
	closed := sync.OnceFunc(func() {
		tty.Close()
		reading.Wait()
		other.Close()
	})
	t.Cleanup(closed)
	return tty, func() []string {
		closed()
		return strings.FieldsFunc(all.String(), func(r rune) bool { return r == '\r' || r == '\n' })
	}
}

// Pair is a terminal whose other end is the test's: closing that is what a program sees of a terminal that goes away.
func Pair(t *testing.T, columns int) (other, tty *os.File) {
	t.Helper()
	other, tty, err := pair(columns)
	if err != nil {
		t.Skip("needs a pseudo-terminal: ", err)
	}
	t.Cleanup(func() {
		other.Close()
		tty.Close()
	})
	return other, tty
}
