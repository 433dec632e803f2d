package cuda

import (
	"math"

	"attune/kernels"
)

// decodeTokens is up to how many tokens attention_cached splits the cache rather than the queries; decodeRows are the rows of
// the cache that a block takes, decodeQueries those of queries.
const (
	decodeTokens  = 8
	decodeRows    = 256
	decodeQueries = 8
)

type decodeArgs struct {
	Q, K, V, O                          Ptr
	Positions, Part                     Ptr
	Tokens, Keys, Heads, Kv, Dh, Pieces int32
	Tq, Tk, Tv, To                      int32
	Window, Capped                      int32
	Inner, Outer                        float32
}

// decode launches attention of a few tokens over a cache, in pieces of fixed size.
func (a *attArgs) decode(p *planner, positions View, window int) {
	pieces := blocks(int(a.Keys), decodeRows)
	part := p.scratch(kernels.Float32, pieces, int(a.Tokens), int(a.Heads), int(a.Dh)+2)
	args := decodeArgs{
		Q: a.Q, K: a.K, V: a.V, O: a.O, Positions: positions.Ptr, Part: part.Ptr,
		Tokens: a.Tokens, Keys: a.Keys, Heads: a.Heads, Kv: a.Kv, Dh: a.Dh, Pieces: int32(pieces),
		Tq: a.Tq, Tk: a.Tk, Tv: a.Tv, To: a.To, Window: int32(min(window, math.MaxInt32)), Capped: a.Capped,
		Inner: a.Inner, Outer: a.Outer,
	}
	launch(p, "att_decode", 128, 4*decodeQueries*(decodeRows+int(a.Dh)), args, pieces, int(a.Kv))
	launch(p, "att_combine", 128, 0, args, int(a.Tokens)*int(a.Heads))
}
