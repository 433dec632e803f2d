package op

// Entry is one operation of the table.
type Entry struct {
	Kernel   string // its kernel's name
	Examples func() Examples
}

// Table lists every operation that models are built of; being in it is what makes the suite run on an operation, its
// gradient and every backend's kernels for both.
func Table() []Entry {
	return []Entry{
		{"embed", embedExamples},
		{"rmsnorm", rmsNormExamples},
		{"linear", linearExamples},
		{"rope", ropeExamples},
		{"attention", attentionExamples},
		{"attention_cached", attentionCachedExamples},
		{"swiglu", swiGLUExamples},
		{"add", addExamples},
		{"scaleby", scaleByExamples},
		{"rows", rowsExamples},
		{"linear_cross_entropy", linearCrossEntropyExamples},
		{"nf4", nf4Examples},
	}
}
