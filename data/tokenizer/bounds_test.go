package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/hostiletest"
)

// repeated is n numbered pieces of JSON with commas between.
func repeated(format string, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		if strings.Contains(format, "%") {
			fmt.Fprintf(&b, format, i)
		} else {
			b.WriteString(format)
		}
	}
	return b.String()
}

// What a file says in more words than any tokenizer needs is refused before it takes memory.
func TestBounds(t *testing.T) {
	const ok = `"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`
	ids := `"special_tokens":{"x":{"ids":[` + repeated("0", 1000) + `]}}`
	for name, c := range map[string]struct{ json, names string }{
		"vocab":       {`{"model":{"type":"BPE","merges":[],"vocab":{` + repeated(`"%d":0`, maxEntries+1) + `}}}`, "vocab has more than"},
		"same words":  {`{"model":{"type":"WordLevel","unk_token":"a","vocab":{` + repeated(`"a":0`, maxEntries+1) + `}}}`, "vocab has more than"},
		"pieces":      {`{"model":{"type":"Unigram","vocab":[` + repeated(`["a",0]`, maxEntries+1) + `]}}`, "vocab has more than"},
		"no pieces":   {`{"model":{"type":"Unigram","vocab":[` + repeated(`[]`, maxEntries+1) + `]}}`, "vocab has more than"},
		"merges":      {`{"model":{"type":"BPE","vocab":{"a":0},"merges":[` + repeated(`"a a"`, maxEntries+1) + `]}}`, "merges has more than"},
		"pairs":       {`{"model":{"type":"BPE","vocab":{"a":0},"merges":[` + repeated(`["a","a"]`, maxEntries+1) + `]}}`, "merges has more than"},
		"added":       {`{"added_tokens":[` + repeated(`{}`, maxEntries+1) + `],` + ok + `}`, "added_tokens has more than"},
		"parts":       {`{"normalizer":{"type":"Sequence","normalizers":[` + repeated(`{}`, maxPart/3) + `]},` + ok + `}`, "normalizer"},
		"steps":       {`{"normalizer":{"type":"Sequence","normalizers":[` + repeated(`{"type":"NFC"}`, maxSteps+1) + `]},` + ok + `}`, "normalizer"},
		"words":       {`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[` + repeated(`{"type":"Whitespace"}`, maxSteps+1) + `]},` + ok + `}`, "pre_tokenizer"},
		"decoders":    {`{"decoder":{"type":"Sequence","decoders":[` + repeated(`{"type":"Fuse"}`, maxSteps+1) + `]},` + ok + `}`, "decoder"},
		"around":      {`{"post_processor":{"type":"TemplateProcessing",` + ids + `,"single":[{"Sequence":{"id":"A"}},` + repeated(`{"SpecialToken":{"id":"x"}}`, 50_000) + `]},` + ok + `}`, "post_processor"},
		"processors":  {`{"post_processor":{"type":"Sequence","processors":[` + repeated(`{"type":"RobertaProcessing","cls":["a",0],"sep":["a",0]}`, 50_000) + `]},` + ok + `}`, "post_processor"},
		"large":       {`{"post_processor":{"type":"ByteLevel","x":"` + strings.Repeat("x", maxPart) + `"},` + ok + `}`, "post_processor"},
		"all pieces":  {`{"model":{"type":"Unigram","vocab":[` + repeated(`["%01000d",0]`, maxAllPieces/1000+1) + `]}}`, "all pieces"},
		"many braces": {`{"model":{"type":"BPE","merges":[],"vocab":` + strings.Repeat(`{"a":`, 200_000), "depth"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			took := hostiletest.Allocated(func() { _, err = Parse([]byte(c.json), nil) })
			if err == nil || !strings.Contains(err.Error(), c.names) || len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
				t.Errorf("%.500v; it should name %s in one sentence", err, c.names)
			}
			// three copies of the text: the model's in the file, the vocabulary's in the model, and what is kept of lists before their parts are read
			if most := uint64(3*len(c.json) + 128<<20); took > most {
				t.Errorf("%d MiB taken for a file of %d", took>>20, len(c.json)>>20)
			}
		})
	}
}

// Commas that stand in tokens separate nothing.
func TestCommasInTokens(t *testing.T) {
	raw := `{"` + strings.Repeat(`,\"`, maxEntries) + `":0,"\\":1,"a,":2}`
	if err := fewEntries("vocab", []byte(raw)); err != nil {
		t.Error(err)
	}
}

// A directory whose files are no files, or have no end.
func TestLoadOpensFiles(t *testing.T) {
	tokenizer, err := os.ReadFile(filepath.Join("testdata", "wordpiece", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"} {
		for _, target := range []string{"pipe", "/dev/zero", "."} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizer, 0o600); err != nil {
				t.Fatal(err)
			}
			hostiletest.Link(t, dir, name, target)
			if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "a regular file is needed") {
				t.Errorf("%s is a link to %s: %v", name, target, err)
			}
		}
	}
}
