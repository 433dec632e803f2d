package pack

// Mix64 is the output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014):
// a bijection of 64 bits in which every input bit reaches every output bit.
func Mix64(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Golden is 2^64 divided by the golden ratio, SplitMix64's step.
const Golden = 0x9e3779b97f4a7c15

// exampleKey starts the keys of one example: a hash of (seed, epoch, ordinal).
func exampleKey(seed uint64, epoch, ordinal int) uint64 {
	k := Mix64(seed + Golden)
	k = Mix64(k ^ uint64(epoch) + Golden)
	return Mix64(k ^ uint64(ordinal) + Golden)
}

// Key is dropout's counter for one token: the upper 32 bits of a hash of (seed, epoch, ordinal of the example, position
// in the example). It does not know where packing put the token.
func Key(seed uint64, epoch, ordinal, position int) int32 {
	return tokenKey(exampleKey(seed, epoch, ordinal), position)
}

func tokenKey(example uint64, position int) int32 {
	return int32(uint32(Mix64(example+uint64(position+1)*Golden) >> 32))
}
