package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"attune/kernels"
	"attune/kernels/cuda"
)

// ceilings are what a kernel is taken to reach: products and attention in FLOP/s, memory in bytes/s, and the seconds that a
// launch costs beside. Blocks is the number of multiprocessors: gemm_sm90 makes one tile in each at a time.
type ceilings struct {
	product, attention, memory, launch float64
	blocks                             int
}

// cost is what one step moves and computes, and the seconds that takes.
type cost struct {
	bytes, flop int64
	seconds     float64
}

func (c *cost) add(o cost) {
	c.bytes, c.flop, c.seconds = c.bytes+o.bytes, c.flop+o.flop, c.seconds+o.seconds
}

// args reads an argument struct by offset: those of the .cu files have no padding, so their layout is what stands there.
type args []byte

func (a args) i32(at int) int64 { return int64(int32(binary.LittleEndian.Uint32(a[at:]))) }
func (a args) i64(at int) int64 { return int64(binary.LittleEndian.Uint64(a[at:])) }
func (a args) f32(at int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(a[at:]))
}

// size is the bytes of an element of the dtype that stands at an offset, 0 for none.
func (a args) size(at int) int64 {
	if d := kernels.Dtype(a.i32(at)); d != 0 {
		return d.Size()
	}
	return 0
}

// cost is the roofline of one step of c: every operand read or written once from memory, products in whole rounds of tiles.
func (l ceilings) cost(c call, s cuda.Step) (name string, x cost, err error) {
	rate := l.product
	tiles := 1.0 // how much longer tiles take because they do not fill the last round of blocks
	switch s := s.(type) {
	case *cuda.Fill:
		name, x.bytes = "fill", s.Bytes
	case *cuda.Gemm:
		k := s.A.Cols
		if s.TransA {
			k = s.A.Rows
		}
		name = "cuBLASLt"
		x.flop = 2 * int64(s.D.Rows) * int64(s.D.Cols) * int64(k)
		x.bytes = bytesOf(s.A) + bytesOf(s.B) + bytesOf(s.D)
		tiles = min(rounds(s.D.Rows, s.D.Cols, 256, l.blocks), rounds(s.D.Rows, s.D.Cols, 128, l.blocks)) // what it takes is not known
		if s.Beta != 0 {
			x.bytes += bytesOf(s.C)
		}
	case *cuda.Launch:
		name = s.Func
		switch {
		case strings.HasPrefix(name, "gemm_sm90"):
			x.bytes, x.flop, tiles = gemmSm90(s, l.blocks)
		case strings.HasPrefix(name, "att_") && name != "att_delta":
			rate = l.attention
			x.bytes, x.flop = attention(c, name)
		default:
			x.bytes, x.flop, err = byMemory(c, s)
		}
	}
	x.seconds = max(float64(x.flop)/rate*tiles, float64(x.bytes)/l.memory) + l.launch
	return name, x, err
}

func bytesOf(m cuda.Mat) int64 { return int64(m.Rows) * int64(m.Cols) * m.Dtype.Size() }

// gemmSm90 reads gemm_sm90_args; tiles is rounds.
func gemmSm90(l *cuda.Launch, blocks int) (bytes, flop int64, tiles float64) {
	a := args(l.Args)
	m, n, k, k2, d := a.i32(552), a.i32(556), a.i32(560), a.i32(564), a.size(568)
	bytes = 2*(m+n)*(k+k2) + m*n*d
	if a.f32(576) != 0 {
		bytes += m * n * d
	}
	wide := 256
	if strings.HasSuffix(l.Func, "_128") {
		wide = 128
	}
	return bytes, 2 * m * n * (k + k2), rounds(int(m), int(n), wide, blocks)
}

// rounds is how much longer a result takes in tiles of 128 rows, one in each block at a time, than if blocks could share them.
func rounds(m, n, wide, blocks int) float64 {
	count := (m + 127) / 128 * ((n + wide - 1) / wide)
	return float64((count+blocks-1)/blocks*blocks*128*wide) / float64(m*n)
}

// attention is one example in the row, causal: half of all pairs. Backward has 4 products for dk and dv and 3 for dq, where
// the usual count of both is 5: 350 TFLOP/s of what is computed are 250 of that.
func attention(c call, name string) (bytes, flop int64) {
	if strings.HasPrefix(name, "att_spans") {
		return c.in[3].Bytes() * 4, 0
	}
	q, k := c.in[0], c.in[1]
	product := int64(q.Elems()) * int64(q.Shape[0]) // 2 T T/2 H Dh
	switch {
	case strings.HasPrefix(name, "att_fwd"):
		return 2*q.Bytes() + 2*k.Bytes(), 2 * product
	case strings.HasPrefix(name, "att_dkdv"):
		return 2*q.Bytes() + 4*k.Bytes(), 4 * product
	default:
		return 3*q.Bytes() + 2*k.Bytes(), 3 * product
	}
}

// byMemory reads the arguments of the kernels that memory bounds and that are one of several of their call; all others move
// the operands of their call.
func byMemory(c call, l *cuda.Launch) (bytes, flop int64, err error) {
	a := args(l.Args)
	switch name, _, _ := strings.Cut(l.Func, "_"); {
	case strings.HasPrefix(l.Func, "thin_mul"):
		rows, k, r := a.i32(56), a.i32(60), a.i32(64)
		bytes, flop = 2*(rows*k+r*k+rows*r), 2*rows*k*r
		if a.i64(24) != 0 {
			bytes += 4 * rows * r
		}
	case strings.HasPrefix(l.Func, "thin_sum"):
		rows, cols, r := a.i32(72), a.i32(76), a.i32(80)
		bytes, flop = 2*rows*(cols+r)+4*int64(l.Grid[1])*cols*r, 2*rows*cols*r
	case strings.HasPrefix(l.Func, "thin_pair"): // g counts once: the blocks that share it begin together
		rows, cols, r, pieces := a.i32(56), a.i32(60), a.i32(64), (a.i32(56)+a.i32(68)-1)/a.i32(68)
		bytes, flop = 2*(rows*cols+cols*r+2*rows*r)+4*pieces*cols*r, 4*rows*cols*r
	case l.Func == "sum_partials":
		for i := range int(l.Grid[1]) {
			bytes += 4 * a.i64(48+8*i) * (a.i32(64+4*i) + 1)
			if a.i64(32+8*i) != 0 { // accumulated, too
				bytes += 8 * a.i64(48+8*i)
			}
		}
	case l.Func == "linear_cast":
		for i := range int(l.Grid[1]) {
			bytes += a.i64(64+8*i) * (a.size(128+4*i) + a.size(144+4*i))
		}
	case l.Func == "colsum":
		bytes = a.i32(16)*a.i32(20)*a.size(24) + 4*a.i32(20)*int64(l.Grid[1])
	case l.Func == "lce_rows":
		bytes = int64(l.Grid[0]) * a.i32(40) * (a.size(44) + a.size(48))
	case l.Func == "lce_softmax":
		bytes = int64(l.Grid[0]) * a.i32(56) * (4 + 4 + a.size(60)) // the logits are read twice
	case l.Func == "lce_compact", l.Func == "lce_loss":
		bytes = c.in[3].Bytes()
	case l.Func == "att_delta":
		bytes = 2 * c.in[0].Bytes()
	case l.Func == "rows" || l.Func == "embed":
		bytes = 2 * c.out[0].Bytes()
	case name == "add" || name == "swiglu" || name == "rmsnorm" || name == "rope" || name == "scaleby" || name == "cast":
		for _, vs := range [][]cuda.View{c.in, c.out} {
			for _, v := range vs {
				bytes += v.Bytes()
			}
		}
	default:
		err = fmt.Errorf("%s of %s: the model does not know what it moves", l.Func, c.kernel.Name())
	}
	return bytes, flop, err
}
