//go:build invariants

package exec

// invariants turns on poisoning of dead memory in every run.
const invariants = true
