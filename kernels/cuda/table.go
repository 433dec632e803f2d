package cuda

import "attune/kernels"

// table has the plan of each kernel by kernels.Kernel.Name. Operands have passed shapes.Check.
var table = map[string]func(p *planner, k kernels.Kernel, in, out []View){
	"accumulate":           planAdd,
	"adamw":                planAdamW,
	"add":                  planAdd,
	"attention":            planAttention,
	"attention_bwd":        planAttentionBwd,
	"attention_cached":     planAttentionCached,
	"embed":                planRows,
	"embed_bwd":            planEmbedBwd,
	"linear":               planLinear,
	"linear_bwd":           planLinearBwd,
	"linear_cross_entropy": planLinearCrossEntropy,
	"nf4":                  planNF4,
	"rmsnorm":              planRMSNorm,
	"rmsnorm_bwd":          planRMSNormBwd,
	"rope":                 planRoPE,
	"rows":                 planRows,
	"scaleby":              planScaleBy,
	"sumsq":                planSumSq,
	"swiglu":               planSwiGLU,
	"swiglu_bwd":           planSwiGLUBwd,
	"zero":                 planZero,
}
