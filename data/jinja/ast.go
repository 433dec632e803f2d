package jinja

// expr is a node of an expression, stmt one of the template's body. Names are numbers into Template.names.

type expr interface{ at() pos }

type (
	constExpr struct {
		pos
		v Value
	}
	nameExpr struct {
		pos
		id int
	}
	attrExpr struct {
		pos
		obj  expr
		name *Str
	}
	itemExpr struct {
		pos
		obj, key expr
	}
	sliceExpr struct { // only as the key of itemExpr
		pos
		start, stop, step expr
	}
	listExpr struct {
		pos
		items []expr
	}
	tupleExpr struct {
		pos
		items []expr
	}
	dictExpr struct {
		pos
		keys, vals []expr
	}
	unaryExpr struct {
		pos
		op string // "-", "+", "not"
		x  expr
	}
	binExpr struct {
		pos
		op   string
		a, b expr
	}
	concatExpr struct {
		pos
		items []expr
	}
	compareExpr struct {
		pos
		first expr
		ops   []string
		rest  []expr
	}
	condExpr struct {
		pos
		then, test, other expr // other may be nil
	}
	callExpr struct {
		pos
		fn   expr
		args callArgs
	}
	filterExpr struct {
		pos
		x    expr // nil = the body of a block
		name string
		args callArgs
	}
	testExpr struct {
		pos
		x    expr
		name string
		args callArgs
	}
)

// callArgs are the arguments of a call, a filter or a test.
type callArgs struct {
	args     []expr
	names    []*Str
	named    []expr
	star     expr // *x
	starstar expr // **x
}

type stmt interface{ at() pos }

// target is what set and for assign to: a name, an attribute of a namespace, or a tuple of targets.
type target struct {
	pos
	id    int
	attr  *Str
	tuple []target // nil = a single one
}

type (
	textStmt struct {
		pos
		text *Str
	}
	printStmt struct {
		pos
		x expr
	}
	setStmt struct {
		pos
		to target
		x  expr
	}
	setBlockStmt struct {
		pos
		to     target
		filter expr // nil, or filterExpr nodes down to one without x
		body   []stmt
	}
	ifStmt struct {
		pos
		tests  []expr
		bodies [][]stmt
		other  []stmt
	}
	forStmt struct {
		pos
		to          target
		iter, test  expr
		recursive   bool
		body, other []stmt
	}
	withStmt struct {
		pos
		to   []target
		vals []expr
		body []stmt
	}
	macroDef struct {
		pos
		name     string
		id       int // of the name; -1 for a call block
		params   []int
		names    []string
		defaults []expr // of the last parameters
		body     []stmt
		caller   int // name numbers, -1 = the body does not use them
		kwargs   int
		varargs  int
	}
	callStmt struct {
		pos
		call  *callExpr
		block *macroDef
	}
	filterStmt struct {
		pos
		filter expr
		body   []stmt
	}
	generationStmt struct {
		pos
		body []stmt
	}
	blockStmt struct { // {% block %}: its body in a scope of its own
		pos
		body []stmt
	}
	breakStmt    struct{ pos }
	continueStmt struct{ pos }
)
