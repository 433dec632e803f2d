// Command attune teaches open-weight language models to follow instructions.
package main

func main() {}
