#!/usr/bin/env bash
# Runs the commands of README.md's "Use it", word for word and in order, in an empty folder: path/to/hf-dir is MODEL, rows.jsonl the
# first rows of ROWS and held.jsonl the next, conversations.jsonl and texts.jsonl a line each. The environment cuts the run short; the
# chat is asked a question.
#
# usage: readme.sh MODEL ROWS        a Hugging Face directory, and a file of twelve rows or more, one a line
set -euo pipefail
[ $# -eq 2 ] || { sed -n '6s/^# *//p' "$0" >&2; exit 2; }
model=$(realpath "$1") rows=$(realpath "$2")
checkout=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

awk '/^## / { on = $0 == "## Use it" } on && /^    / { print substr($0, 5) }' "$checkout/README.md" >commands
for command in init "data show" plan train eval generate chat "template check" "template render" tokenize; do
  grep -q "^bin/attune $command " commands || { echo "README.md's \"Use it\" has no attune $command" >&2; exit 1; }
done

# what the README takes for granted: one stands in the checkout, and has a model and rows
printf 'build:\n\t@$(MAKE) --no-print-directory -C "%s" build\n' "$checkout" >Makefile
ln -s "$checkout/bin" bin
mkdir -p path/to
ln -s "$model" path/to/hf-dir
sed -n '1,8p' "$rows" >rows.jsonl
sed -n '9,12p' "$rows" >held.jsonl
echo '{"conversation": [{"role": "user", "content": "What is a heron?"}], "add_generation_prompt": true}' >conversations.jsonl
echo '{"text": "A wading bird, mostly grey.", "special": false}' >texts.jsonl

export ATTUNE_TRAIN_STEPS=2 ATTUNE_TRAIN_EXAMPLES_PER_STEP=2
bash -euxo pipefail commands <<<"What is a heron?" | tee said
[ -s runs/my-run/adapter/adapter_model.safetensors ] || { echo "no adapter was written" >&2; exit 1; }
for line in '^{"text":".*What is a heron?' '^{"ids":\[[0-9].*"decoded":"A wading bird, mostly grey\."'; do
  grep -q "$line" said || { echo "no line is $line" >&2; exit 1; }
done
