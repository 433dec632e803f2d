//go:build gpu

package lawtest_test

import (
	"errors"
	"testing"

	"attune/engine/lawtest"
	"attune/engine/session"
)

// A GPU keeps the laws, and so does the emulator of one.
func TestCUDA(t *testing.T) {
	d, err := session.OpenDevice("cuda", 0)
	if errors.Is(err, session.ErrNoDevice) {
		t.Skip("needs a GPU, or its emulator: make emu, LD_LIBRARY_PATH=.cache/emu:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	lawtest.Run(t, lawtest.Setup{Checks: 4, Open: func(int) (*session.Device, error) { return session.OpenDevice("cuda", 0) }})
}
