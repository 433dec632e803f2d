package kernels

// rowBlock is how many rows of the left matrix meet one row of the right one while it is in cache.
const rowBlock = 16

// dot is the sum of a[i]*b[i] in float64, in four interleaved sums added at the end.
func dot[A, B Float](a []A, b []B) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i]) * float64(b[i])
		s1 += float64(a[i+1]) * float64(b[i+1])
		s2 += float64(a[i+2]) * float64(b[i+2])
		s3 += float64(a[i+3]) * float64(b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i]) * float64(b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// axpy adds s*x to y.
func axpy[X Float](s float64, x []X, y []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += s * float64(v)
	}
}

// mulNT is c = a bᵀ: a (m,k), b (n,k), c (m,n).
func mulNT[A, B Float](a []A, b []B, c []float64, m, n, k int) {
	for i0 := 0; i0 < m; i0 += rowBlock {
		i1 := min(i0+rowBlock, m)
		for j := range n {
			for i := i0; i < i1; i++ {
				c[i*n+j] = dot(a[i*k:(i+1)*k], b[j*k:(j+1)*k])
			}
		}
	}
}

// addNN is c += s * a b: a (m,k), b (k,n), c (m,n).
func addNN[A, B Float](s float64, a []A, b []B, c []float64, m, n, k int) {
	for i0 := 0; i0 < m; i0 += rowBlock {
		i1 := min(i0+rowBlock, m)
		for j := range k {
			for i := i0; i < i1; i++ {
				axpy(s*float64(a[i*k+j]), b[j*n:(j+1)*n], c[i*n:(i+1)*n])
			}
		}
	}
}

// addTN is c += s * aᵀ b: a (k,m), b (k,n), c (m,n).
func addTN[A, B Float](s float64, a []A, b []B, c []float64, m, n, k int) {
	for i0 := 0; i0 < m; i0 += rowBlock {
		i1 := min(i0+rowBlock, m)
		for j := range k {
			for i := i0; i < i1; i++ {
				axpy(s*float64(a[j*m+i]), b[j*n:(j+1)*n], c[i*n:(i+1)*n])
			}
		}
	}
}

// round stores src in dst.
func round[T Float](dst []T, src []float64) {
	for i, v := range src {
		dst[i] = T(v)
	}
}
