package kernels

// Uniform is attune's only source of randomness inside a kernel: a pure function of three counters, so that which
// elements dropout keeps depends neither on packing, nor on threads, nor on whether a value is computed twice.
// It returns a float32 in [0,1) with 24 random bits. C and CUDA repeat this formula word for word, in uint32
// arithmetic that wraps:
//
//	mix(x): x ^= x>>16; x *= 0x7feb352d; x ^= x>>15; x *= 0x846ca68b; x ^= x>>16
//	a = mix(key ^ mix(salt + 0x9e3779b9))          // once for a row (a token of one layer)
//	b = mix(a + salt + 0x85ebca6b)                 // once for a row
//	x = i*0x9e3779b9 + a                           // for every element
//	x ^= x>>16; x *= 0x7feb352d; x += b
//	x ^= x>>15; x *= 0x846ca68b; x ^= x>>16
//	Uniform = float32(x>>8) * 2^-24
//
// mix is Chris Wellons' lowbias32 (https://nullprogram.com/blog/2018/07/31/). A row has 64 bits of state (a, b), so
// that the rows' sequences are not shifted copies of one another, as they would be with a alone.
//
// Checkpoints name the version of it that their run began with: whoever changes a number here raises the dropout scheme of
// engine/checkpoint.
func Uniform(key, salt, i uint32) float32 {
	a, b := UniformRow(key, salt)
	return UniformAt(a, b, i)
}

// UniformRow is the part of Uniform that does not depend on i.
func UniformRow(key, salt uint32) (a, b uint32) {
	a = mix(key ^ mix(salt+0x9e3779b9))
	b = mix(a + salt + 0x85ebca6b)
	return a, b
}

// UniformAt is Uniform for element i of the row that UniformRow began.
func UniformAt(a, b, i uint32) float32 {
	x := i*0x9e3779b9 + a
	x ^= x >> 16
	x *= 0x7feb352d
	x += b
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return float32(x>>8) * (1.0 / (1 << 24))
}

func mix(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return x
}
