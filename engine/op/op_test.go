package op_test

import (
	"testing"

	"attune/engine/op/optest"
)

func TestOperations(t *testing.T) { optest.References(t) }

func TestEveryKernelIsInTheSuite(t *testing.T) { optest.Covered(t) }
