// Package archtest holds the architecture true: which package may import which, each rule with its reason, and a doc
// comment on every package. It is tests only.
package archtest
