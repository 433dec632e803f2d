package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"attune/internal/smallfile"
)

// file is tokenizer.json.
type file struct {
	Version       *string         `json:"version"`
	AddedTokens   json.RawMessage `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// maxAllAdded bounds the added tokens together, in bytes.
const maxAllAdded = 4 << 20

// Load reads dir/tokenizer.json and, where present, dir/tokenizer_config.json and dir/special_tokens_map.json, which
// name the tokens with a role.
func Load(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	main, err := smallfile.Read(path, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: %w; a model folder needs the fast tokenizer's file, which save_pretrained of transformers writes", err)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	var others [2][]byte
	for i, name := range []string{"tokenizer_config.json", "special_tokens_map.json"} {
		if others[i], err = smallfile.Read(filepath.Join(dir, name), maxRoles); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
	}
	t, err := parse(main)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	if err := t.readRoles(others[0], others[1]); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", dir, err)
	}
	return t, nil
}

// Parse reads a tokenizer from the bytes of tokenizer.json and of tokenizer_config.json (nil if there is none).
func Parse(tokenizerJSON, configJSON []byte) (*Tokenizer, error) {
	t, err := parse(tokenizerJSON)
	if err == nil {
		err = t.readRoles(configJSON, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

func parse(raw []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	if f.Version != nil && *f.Version != "1.0" {
		return nil, fmt.Errorf("version %q is not 1.0", *f.Version)
	}
	if err := f.checkParts(); err != nil {
		return nil, err
	}
	var added []addedToken
	if !absent(f.AddedTokens) {
		if err := json.Unmarshal(f.AddedTokens, &added); err != nil {
			return nil, fmt.Errorf("tokenizer.json: added_tokens: %w", err)
		}
	}
	sum := sha256.Sum256(raw)
	t := &Tokenizer{sha256: hex.EncodeToString(sum[:])}
	var err error
	if t.normalizers, err = parseNormalizer(f.Normalizer, 0); err != nil {
		return nil, err
	}
	if t.preTokenizers, err = parsePreTokenizer(f.PreTokenizer, 0); err != nil {
		return nil, err
	}
	_, last := lastOf(t.preTokenizers).(byteLevel)
	var asBytes bool
	if t.model, asBytes, err = parseModel(f.Model, last); err != nil {
		return nil, err
	}
	if asBytes { // the model's own table takes the place of the step
		t.preTokenizers = t.preTokenizers[:len(t.preTokenizers)-1]
	}
	if t.decoder, err = parseDecoder(f.Decoder, 0); err != nil {
		return nil, err
	}
	if err := t.decoder.check(); err != nil {
		return nil, err
	}
	if err := t.addTokens(added); err != nil {
		return nil, err
	}
	if t.before, t.after, err = parsePostProcessor(f.PostProcessor, 0); err != nil {
		return nil, err
	}
	return t, nil
}

func lastOf(p []preTokenizer) preTokenizer {
	if len(p) == 0 {
		return nil
	}
	return p[len(p)-1]
}

// addTokens gives the added tokens their ids as the tokenizers library does: that of the vocabulary where the token is
// in it, the next free one otherwise, whatever the file says.
func (t *Tokenizer) addTokens(tokens []addedToken) error {
	var exact, normalized addedList
	t.added = make(map[string]int32, len(tokens))
	t.byID = make(map[int32]*addedToken, len(tokens))
	t.forms = make(map[int32]string)
	t.special = make(map[string]bool)
	next := int32(t.model.size())
	var order []int32
	total := 0
	for i := range tokens {
		a := &tokens[i]
		if a.Content == "" {
			continue
		}
		if len(a.Content) > maxAdded {
			return fmt.Errorf("added_tokens: entry %d has %d bytes, more than the %d that an added token may have", i, len(a.Content), maxAdded)
		}
		if total += len(a.Content); total > maxAllAdded {
			return fmt.Errorf("added_tokens: all together have more than %d bytes", maxAllAdded)
		}
		id, ok := t.ID(a.Content)
		if !ok {
			id = next
			next++
		}
		t.added[a.Content] = id
		if a.Special {
			t.special[a.Content] = true
		}
		if _, ok := t.byID[id]; !ok {
			order = append(order, id)
		}
		t.byID[id] = a
	}
	for _, id := range order {
		a := t.byID[id]
		if !a.Normalized {
			exact.add(a.Content, id, a)
			continue
		}
		n, err := t.normalizers.normalize(aligned{s: a.Content})
		if err == nil && len(n.s) > maxAdded {
			err = fmt.Errorf("normalized, it has more than %d bytes", maxAdded)
		}
		if err != nil {
			return fmt.Errorf("added_tokens: %q: %w", a.Content, err)
		}
		if n.s != a.Content {
			t.forms[id] = n.s
		}
		normalized.add(n.s, id, a)
	}
	t.exact, t.normalized = exact.finder(), normalized.finder()
	t.size = int(t.model.top()) + 1
	t.specialIDs, t.plain = &idSet{}, t.model
	for id, a := range t.byID {
		t.size = max(t.size, int(id)+1)
		if a.Special {
			t.specialIDs.add(id)
		}
	}
	if len(t.special) > 0 {
		t.plain = t.model.without(t.specialIDs)
	}
	return nil
}

// readRoles takes the tokens with a role from tokenizer_config.json and, where that says nothing, from
// special_tokens_map.json; either may be nil.
func (t *Tokenizer) readRoles(config, specialMap []byte) error {
	for _, source := range []struct {
		name string
		raw  []byte
	}{{"tokenizer_config.json", config}, {"special_tokens_map.json", specialMap}} {
		if len(source.raw) == 0 {
			continue
		}
		var f struct {
			BOS json.RawMessage `json:"bos_token"`
			EOS json.RawMessage `json:"eos_token"`
			PAD json.RawMessage `json:"pad_token"`
			UNK json.RawMessage `json:"unk_token"`
		}
		if err := json.Unmarshal(source.raw, &f); err != nil {
			return fmt.Errorf("%s: %w", source.name, err)
		}
		for _, role := range []struct {
			key string
			raw json.RawMessage
			to  *string
		}{{"bos_token", f.BOS, &t.roles.BOS}, {"eos_token", f.EOS, &t.roles.EOS}, {"pad_token", f.PAD, &t.roles.PAD}, {"unk_token", f.UNK, &t.roles.UNK}} {
			token, err := readRole(role.raw)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", source.name, role.key, err)
			}
			fill(role.to, token)
		}
	}
	fill(&t.roles.UNK, t.model.unknown())
	return nil
}

func fill(to *string, value string) {
	if *to == "" {
		*to = value
	}
}

// readRole reads a token written as a string, as an added token, or null.
func readRole(raw json.RawMessage) (string, error) {
	if absent(raw) {
		return "", nil
	}
	if raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	var a addedToken
	err := json.Unmarshal(raw, &a)
	return a.Content, err
}
