package cuda

import "errors"

// PlanGemm is g by the kernels of this directory, where cuBLASLt is missing or has no algorithm for it.
func PlanGemm(t Target, g Gemm) ([]Step, error) {
	return nil, errors.New("no matrix product on this target")
}
