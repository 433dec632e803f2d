package peft

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Card is what the README.md of an adapter says.
type Card struct {
	Recipe string // the run file, YAML
	Facts  []Fact // in order: template_sha256, dataset, steps, eval_loss, ...; metadata of the weights' file too

	Files map[string][]byte // what lies beside the card under its name, as chat_template.jinja
}

// Fact is a line of the card's table.
type Fact struct{ Name, Value string }

// markdown is a model card as the Hugging Face hub reads it: YAML front matter, then text. A base model that is a directory
// goes by its base name: a card is for others, whom the directories of this machine do not concern.
func (c Card) markdown(a Config) []byte {
	if filepath.IsAbs(a.BaseModel) {
		a.BaseModel = filepath.Base(a.BaseModel)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "---\nbase_model: %s\nlibrary_name: peft\npipeline_tag: text-generation\ntags:\n- lora\n- attune\n---\n\n", strconv.Quote(a.BaseModel))
	kind := "LoRA"
	if a.UseRSLoRA {
		kind = "rsLoRA"
	}
	fmt.Fprintf(&b, "# %s adapter\n\nA %s adapter of rank %d (alpha %g, dropout %g) for `%s`, trained with attune.\n", kind, kind, a.R, a.Alpha, a.Dropout, a.BaseModel)
	b.WriteString("\n```python\nfrom peft import AutoPeftModelForCausalLM\nmodel = AutoPeftModelForCausalLM.from_pretrained(\"path/to/this/directory\")\n```\n")
	if len(c.Facts) > 0 {
		b.WriteString("\n| | |\n| --- | --- |\n")
		for _, f := range c.Facts {
			cell := strings.NewReplacer("|", `\|`, "\n", " ")
			fmt.Fprintf(&b, "| %s | %s |\n", cell.Replace(f.Name), cell.Replace(f.Value))
		}
	}
	if c.Recipe != "" {
		fmt.Fprintf(&b, "\n## Run file\n\n```yaml\n%s\n```\n", strings.TrimRight(c.Recipe, "\n"))
	}
	return []byte(b.String())
}
