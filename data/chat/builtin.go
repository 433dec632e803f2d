package chat

import (
	"fmt"
	"slices"
	"strings"
)

// builtins are templates in our own words for published formats. They write what the format says and nothing else: no
// default system message, no date. It is only read.
var builtins = map[string]string{
	// https://github.com/openai/openai-python/blob/v0.28.1/chatml.md
	"chatml": `{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,

	// https://huggingface.co/HuggingFaceH4/zephyr-7b-beta: role headers are plain text, a turn ends with the end token.
	"zephyr": `{%- for message in messages -%}
{{ '<|' + message.role + '|>\n' + message.content + eos_token + '\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}`,

	// https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
	"llama3": `{{- bos_token }}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}`,

	// https://github.com/tatsu-lab/stanford_alpaca#data-release, an "### Instruction:" a user turn; a system message stands
	// where the format's own opening sentence does.
	"alpaca": `{{- bos_token }}
{%- set ns = namespace(opened=false) -%}
{%- for message in messages -%}
    {%- if message.role == 'system' -%}
        {{- message.content + '\n\n' }}
        {%- set ns.opened = true -%}
    {%- elif message.role == 'user' -%}
        {%- if not ns.opened -%}
            {{- 'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' }}
            {%- set ns.opened = true -%}
        {%- endif -%}
        {{- '### Instruction:\n' + message.content + '\n\n' }}
    {%- elif message.role == 'assistant' -%}
        {{- '### Response:\n' + message.content + eos_token + '\n\n' }}
    {%- else -%}
        {{- raise_exception('the alpaca format has no turn of role ' + message.role) }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}`,
}

// Builtins lists the names that Builtin takes.
func Builtins() []string { return []string{"chatml", "zephyr", "llama3", "alpaca"} }

// Builtin returns one of the templates that come with attune.
func Builtin(name string) (*Template, error) {
	if !slices.Contains(Builtins(), name) {
		return nil, fmt.Errorf("no builtin template %q; there are %s", name, strings.Join(Builtins(), ", "))
	}
	return compile("builtin "+name, builtins[name])
}
