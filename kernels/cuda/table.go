package cuda

import "attune/kernels"

// table has the plan of each kernel by kernels.Kernel.Name. Operands have passed shapes.Check.
var table = map[string]func(p *planner, k kernels.Kernel, in, out []View){
	"accumulate":       planAccumulate,
	"adamw":            planAdamW,
	"add":              planAdd,
	"attention":        planAttention,
	"attention_bwd":    planAttentionBwd,
	"attention_cached": planAttentionCached,
	"linear":           planLinear,
	"linear_bwd":       planLinearBwd,
	"rmsnorm":          planRMSNorm,
	"rmsnorm_bwd":      planRMSNormBwd,
	"scaleby":          planScaleBy,
	"sumsq":            planSumSq,
	"swiglu":           planSwiGLU,
	"swiglu_bwd":       planSwiGLUBwd,
	"zero":             planZero,
}
