package cpu

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// ISAs lists the instruction sets that both this build and this processor have, best first. "go" is always the last.
func ISAs() []string {
	var have []string
	for _, isa := range compiledISAs() {
		if processorHas(isa) {
			have = append(have, isa)
		}
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
