package cpu

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// ISAs lists the instruction sets that both this build and this processor have, best first. "go" is always the last.
//
// The bfloat16 dot product (vdpbf16ps) does two multiply-adds a lane, but Intel's server cores issue it at a quarter of
// the rate of float32 multiply-adds (measured on Emerald Rapids: 86 against 175 GFLOP/s a core), so there bfloat16 is
// widened while packing and "avx512" comes first. AMD's Zen 4 issues both at the same rate.
func ISAs() []string {
	var have []string
	for _, isa := range compiledISAs() {
		if processorHas(isa) {
			have = append(have, isa)
		}
	}
	if cpuid.CPU.VendorID == cpuid.Intel && len(have) > 1 && have[0] == "avx512bf16" {
		have[0], have[1] = have[1], have[0]
	}
	return append(have, "go")
}

func processorHas(isa string) bool {
	avx2 := cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C)
	avx512 := avx2 && cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL)
	switch isa {
	case "avx512bf16":
		return avx512 && cpuid.CPU.Supports(cpuid.AVX512BF16)
	case "avx512":
		return avx512
	case "avx2":
		return avx2
	}
	return true
}

func chooseISA(want string) (string, error) {
	have := ISAs()
	if want == "" {
		return have[0], nil
	}
	if !slices.Contains(have, want) {
		return "", fmt.Errorf("cpu: instruction set %q: this build and processor have %s", want, strings.Join(have, ", "))
	}
	return want, nil
}
