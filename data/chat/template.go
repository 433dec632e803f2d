package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"

	"attune/data/jinja"
	"attune/internal/smallfile"
)

// Template is a compiled chat template with where it came from. It is safe for concurrent use.
type Template struct {
	compiled *jinja.Template
	source   string
	name     string
	specials map[string]string // bos_token and so on, of the model directory; nil = not known
	stops    []int32           // at which that model stops, by generation_config.json
	own      bool              // it is that model's own

	facts atomic.Pointer[facts] // what is known of the tokenizer last used
}

// compile makes a template; name is what errors call it.
func compile(name, source string) (*Template, error) {
	c, err := jinja.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Template{compiled: c, source: source, name: name}, nil
}

// errNoTemplate: the model directory is fine, but has no chat template.
var errNoTemplate = errors.New("the model has no chat template; set template to a .jinja file or to chatml, zephyr, llama3 or alpaca")

// FromModel reads the model's own template: chat_template.jinja or, failing that, chat_template in tokenizer_config.json
// (a string, or a list of named ones of which "default" counts).
func FromModel(dir string) (*Template, error) {
	specials, config, err := readSpecials(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "chat_template.jinja")
	source, err := readFile(path)
	switch {
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read chat template: %w", err)
	default:
		path = filepath.Join(dir, "tokenizer_config.json")
		if source, err = inConfig(config); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if source == "" {
			return nil, fmt.Errorf("%s: %w", dir, errNoTemplate)
		}
	}
	t, err := compile(path, source)
	if err != nil {
		return nil, err
	}
	t.specials, t.own = specials, true
	t.readStops(dir)
	return t, nil
}

// maxTemplates bounds chat_template in tokenizer_config.json, in bytes: some templates of the largest size.
const maxTemplates = 4 * jinja.MaxSource

// inConfig finds the template in the bytes of tokenizer_config.json; "" = there is none.
func inConfig(config []byte) (string, error) {
	var c struct {
		ChatTemplate json.RawMessage `json:"chat_template"`
	}
	if len(config) == 0 {
		return "", nil
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return "", fmt.Errorf("read chat_template: %w", err)
	}
	if len(c.ChatTemplate) == 0 || string(c.ChatTemplate) == "null" {
		return "", nil
	}
	if n := len(c.ChatTemplate); n > maxTemplates {
		return "", fmt.Errorf("chat_template takes %d bytes; at most %d are expected", n, maxTemplates)
	}
	var one string
	if json.Unmarshal(c.ChatTemplate, &one) == nil {
		return one, nil
	}
	var several []struct{ Name, Template string }
	if err := json.Unmarshal(c.ChatTemplate, &several); err != nil {
		return "", errors.New("chat_template is neither a text nor a list of {name, template}")
	}
	var names []string
	for _, t := range several {
		if t.Name == "default" {
			return t.Template, nil
		}
		names = append(names, t.Name)
	}
	return "", fmt.Errorf("chat_template has none named \"default\", only %s; set template to a .jinja file with the one you want", strings.Join(names, ", "))
}

// roleTokens are the tokens that a template may see, by the names of tokenizer_config.json.
var roleTokens = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// readSpecials reads the role tokens that a template sees as bos_token, eos_token and so on, as transformers'
// special_tokens_map. config is the text of tokenizer_config.json, nil if there is none.
func readSpecials(dir string) (specials map[string]string, config []byte, err error) {
	specials = map[string]string{}
	for _, name := range []string{"special_tokens_map.json", "tokenizer_config.json"} {
		raw, err := readFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read chat template: %w", err)
		}
		var f struct { // fields rather than a map, which would hold whatever else there is
			BOS  json.RawMessage `json:"bos_token"`
			EOS  json.RawMessage `json:"eos_token"`
			UNK  json.RawMessage `json:"unk_token"`
			SEP  json.RawMessage `json:"sep_token"`
			PAD  json.RawMessage `json:"pad_token"`
			CLS  json.RawMessage `json:"cls_token"`
			Mask json.RawMessage `json:"mask_token"`
		}
		if err := json.Unmarshal([]byte(raw), &f); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", filepath.Join(dir, name), err)
		}
		for role, raw := range map[string]json.RawMessage{"bos_token": f.BOS, "eos_token": f.EOS, "unk_token": f.UNK, "sep_token": f.SEP,
			"pad_token": f.PAD, "cls_token": f.CLS, "mask_token": f.Mask} {
			var text string
			var object struct{ Content string }
			if json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &object) == nil {
				text = object.Content
			}
			if text != "" {
				specials[role] = text
			}
		}
		if name == "tokenizer_config.json" {
			config = []byte(raw)
		}
	}
	return specials, config, nil
}

// maxConfig bounds the files read here, in bytes.
const maxConfig = 16 << 20

func readFile(path string) (string, error) {
	raw, err := smallfile.Read(path, maxConfig)
	return string(raw), err
}

// FromFile reads a .jinja file.
func FromFile(path string) (*Template, error) {
	source, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read chat template: %w", err)
	}
	return compile(path, source)
}

// Resolve returns the template a run file names: "" or "auto" (the model's own), a builtin's name, or a file's path.
func Resolve(setting, modelDir string) (*Template, error) {
	var t *Template
	var err error
	switch {
	case setting == "" || setting == "auto":
		return FromModel(modelDir)
	case builtins[setting] != "":
		t, err = Builtin(setting)
	default:
		t, err = FromFile(setting)
		if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(setting, "./\\") {
			return nil, fmt.Errorf("template %q is no file and none of %s; set template to auto, one of these, or a .jinja file", setting, strings.Join(Builtins(), ", "))
		}
	}
	if err != nil {
		return nil, err
	}
	t.readStops(modelDir)
	t.specials, _, err = readSpecials(modelDir)
	return t, err
}

// readStops reads at which token the model stops; what is wrong with the file is said by Stops.
func (t *Template) readStops(modelDir string) {
	if c, err := readGenerationConfig(modelDir); err == nil {
		t.stops = c.eos
	}
}

// Name says where the template came from: a path, or "builtin " and a name.
func (t *Template) Name() string { return t.name }

// Source is the template's text.
func (t *Template) Source() string { return t.source }

// SHA256 of the source, in hexadecimal.
func (t *Template) SHA256() string {
	sum := sha256.Sum256([]byte(t.source))
	return hex.EncodeToString(sum[:])
}
