// Package reftest gives tests the reference data made outside the project: goldens, models, tokenizers, templates, rows. It
// is for tests only.
package reftest

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Root is where the reference data lies, if it does: ATTUNE_TEST_SHARED, or the folder shared beside the checkout.
func Root() string {
	if root := os.Getenv("ATTUNE_TEST_SHARED"); root != "" {
		return root
	}
	return filepath.Join("..", "..", "..", "shared") // tests run in the folder of their package, of which all lie two below the checkout
}

// Path is a file or folder of the reference data. The test is skipped where it is not there.
func Path(t testing.TB, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{Root()}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs the reference data at %s (set ATTUNE_TEST_SHARED)", path)
	}
	return path
}

// Lines reads a file of JSON lines of up to 16 MiB each.
func Lines[T any](t testing.TB, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []T
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var v T
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatalf("%s:%d: %v", path, len(all)+1, err)
		}
		all = append(all, v)
	}
	if err := s.Err(); err != nil {
		t.Fatalf("%s:%d: %v", path, len(all)+1, err)
	}
	return all
}
