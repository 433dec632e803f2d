package chat

import (
	"errors"

	"attune/data"
)

var errSoon = errors.New("chat: not built yet")

// Template is a compiled chat template with where it came from.
type Template struct{ source, name string }

// FromModel reads the model's own template: chat_template.jinja, or chat_template in tokenizer_config.json.
func FromModel(dir string) (*Template, error) { return nil, errSoon }

// FromFile reads a .jinja file.
func FromFile(path string) (*Template, error) { return nil, errSoon }

// Builtin returns chatml, zephyr, llama3 or alpaca.
func Builtin(name string) (*Template, error) { return nil, errSoon }

// Resolve returns the template a run file names: "" or "auto" (the model's own), a builtin's name, or a file's path.
func Resolve(setting, modelDir string) (*Template, error) { return nil, errSoon }

// Name says where the template came from.
func (t *Template) Name() string { return t.name }

// Source is the template's text.
func (t *Template) Source() string { return t.source }

// SHA256 of the source, in hex.
func (t *Template) SHA256() string { return "" }

// Render writes one conversation, all of it, as the template does.
func (t *Template) Render(conv data.Conversation, o RenderOptions) (Rendering, error) {
	return Rendering{}, errSoon
}

// EncodeAll turns a conversation into the examples it is trained as: one, or one a turn where the template rewrites
// earlier turns.
func (t *Template) EncodeAll(tok Tokenizer, conv data.Conversation, o EncodeOptions) ([]data.Example, error) {
	return nil, errSoon
}

// EncodePrompt gives the ids of a conversation that ends with the opening of an assistant turn.
func (t *Template) EncodePrompt(tok Tokenizer, conv data.Conversation, o EncodeOptions) ([]int32, error) {
	return nil, errSoon
}

// Cut applies the overlength policy to one example.
func Cut(e data.Example, maxLength int, p Policy) (CutResult, error) { return CutResult{}, errSoon }

// Stops returns the ids that end a turn, from the model directory's generation_config.json (may be absent), the
// tokenizer's end token, and the special token the template writes behind an assistant turn. In ascending order.
func (t *Template) Stops(tok Tokenizer, modelDir string) ([]int32, error) { return nil, errSoon }
