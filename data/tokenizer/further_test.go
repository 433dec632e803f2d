package tokenizer

import (
	"os"
	"path/filepath"
	"testing"
)

// further is the folder of published tokenizers with vectors that scripts/goldens/tokenizers.py made.
func further(t testing.TB) []string {
	dir := os.Getenv("ATTUNE_TEST_FURTHER")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "published")
	}
	found, err := filepath.Glob(filepath.Join(dir, "tokenizers", "*", "vectors.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skip("needs ATTUNE_TEST_FURTHER (or .cache/published): published tokenizers with vectors made by scripts/goldens/tokenizers.py")
	}
	return found
}

// TestFurther holds published tokenizers of many families to Hugging Face tokenizers 0.23.
func TestFurther(t *testing.T) {
	for _, path := range further(t) {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			tok, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			checkVectors(t, tok, dir, 100)
		})
	}
}
