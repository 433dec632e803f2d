package oniguruma

// visits is a set of visits: a bit for each fork at each place. Pages of it are made where they are needed and taken
// back when the search has gone past them.
type visits struct {
	forks int
	pages []*page
	from  int // pages before it were taken back
	spare []*page
	made  int
	full  bool // there are more than maxPages
}

type page [pageBits / 64]uint64

const (
	pageBits = 1 << 15
	maxPages = 1 << 15 // 128 MiB
)

// reset empties the set, for a text of n bytes.
func (v *visits) reset(forks, n int) {
	v.forks = forks
	v.take(len(v.pages))
	size := forks*(n+1)/pageBits + 1
	if cap(v.pages) < size {
		v.pages = make([]*page, size)
	}
	v.pages = v.pages[:size]
	v.from, v.full = 0, false
}

// forget drops the visits before place pos.
func (v *visits) forget(pos int) { v.take(max(v.forks*pos, 0) / pageBits) }

func (v *visits) take(end int) {
	for ; v.from < end; v.from++ {
		if p := v.pages[v.from]; p != nil {
			*p = page{}
			v.spare = append(v.spare, p)
			v.pages[v.from] = nil
		}
	}
}

// set adds a visit and says whether it is new.
func (v *visits) set(x visit) bool {
	at := v.forks*int(x.pos) + int(x.fork)
	p := v.pages[at/pageBits]
	if p == nil {
		p = v.page()
		v.pages[at/pageBits] = p
	}
	word, bit := &p[at%pageBits/64], uint64(1)<<(at%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

func (v *visits) unset(x visit) {
	at := v.forks*int(x.pos) + int(x.fork)
	v.pages[at/pageBits][at%pageBits/64] &^= 1 << (at % 64)
}

func (v *visits) page() *page {
	if n := len(v.spare); n > 0 {
		p := v.spare[n-1]
		v.spare = v.spare[:n-1]
		return p
	}
	if v.made++; v.made > maxPages {
		v.full = true
	}
	return new(page)
}
