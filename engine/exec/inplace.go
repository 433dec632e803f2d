package exec

// overwrite says that output Out of a kernel may lie in the memory of input In.
type overwrite struct{ In, Out int }

// overwrites lists, by kernel name, where an output may take the memory of an input that dies there: every element of
// the output depends, of that input, on nothing but elements the kernel has read by the time it writes. The pairs hold
// for all backends: each kernel's loops keep to them, and a test of every backend runs with and without. What is not
// listed never shares memory, and no input is listed for two outputs; norms are left out because dweight is summed over x and dy while dx is written.
var overwrites = map[string][]overwrite{
	"add":        {{0, 0}, {1, 0}},
	"scaleby":    {{0, 0}},
	"rope":       {{0, 0}}, // both halves of a pair are read before either is written
	"swiglu":     {{0, 0}, {1, 0}},
	"swiglu_bwd": {{0, 0}, {1, 1}}, // gate -> dgate, up -> dup
}
