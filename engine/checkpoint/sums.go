package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"attune/internal/disk"
	"attune/internal/smallfile"
)

// sums are the SHA-256 of a checkpoint's files by their names, in hexadecimal.
type sums map[string]string

// maxSums bounds SHA256SUMS, in bytes; it has three lines of some 90.
const maxSums = 4 << 10

// text is what `sha256sum -c` reads.
func (s sums) text() []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s  %s\n", s[name], name)
	}
	return b.Bytes()
}

// parseSums reads what text writes, its lines in any order, and nothing else: a file that lost its last byte is damaged.
func parseSums(b []byte) (sums, error) {
	s := sums{}
	for line := range strings.Lines(string(b)) {
		line, whole := strings.CutSuffix(line, "\n")
		sum, name, ok := strings.Cut(line, "  ")
		if !whole || !ok || len(sum) != 2*sha256.Size || strings.Trim(sum, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("%s: line %d is not a SHA-256 and a name", sumsName, len(s)+1)
		}
		if _, twice := s[name]; twice {
			return nil, fmt.Errorf("%s: %.80q is there twice", sumsName, name)
		}
		s[name] = sum
	}
	return s, nil
}

// check compares the names with those that a checkpoint has.
func (s sums) check(names ...string) error {
	for _, name := range names {
		if _, ok := s[name]; !ok {
			return fmt.Errorf("%s does not name %s", sumsName, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s names %.80q, which a checkpoint does not have", sumsName, name)
		}
	}
	return nil
}

// chunk is how much is hashed at once. The hash's loop cannot be preempted, and on a thread of low priority it may be
// long until it goes on: what stops the world would wait for it.
const chunk = 64 << 10

// hashing writes a file and hashes what it wrote.
type hashing struct {
	w     io.Writer
	h     hash.Hash
	bytes int64
}

func (w *hashing) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	for part := range slices.Chunk(p[:n], chunk) {
		_, _ = w.h.Write(part) // a hash takes all
	}
	w.bytes += int64(n)
	return n, err
}

// hashFile is the SHA-256 of a regular file.
func hashFile(d disk.FS, name string) (string, error) {
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readFile is a regular file of at most limit bytes.
func readFile(d disk.FS, name string, limit int64) ([]byte, error) {
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return smallfile.ReadOpen(f, d.Path(name), limit)
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
