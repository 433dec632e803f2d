// Package attune is the root of the module. The program is cmd/attune; README.md has the map of the rest.
package attune
