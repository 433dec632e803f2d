#!/usr/bin/env bash
# The same LoRA run by PyTorch + PEFT (float32) and by attune (float32 and bfloat16), from the same adapter over the same rows,
# then the loss of rows that neither saw. Fails if attune is further from the peer than smollm2_compare.py allows.
#
# usage: smollm2.sh ATTUNE PYTHON SHARED MODEL OUT [STEPS=125] [EXAMPLES=16] [HELD=200] [THREADS=2]
#        SHARED has data/alpaca.jsonl and peer/, MODEL is SmolLM2's Hugging Face directory. The whole takes about half an hour
#        on two cores; a part whose result lies in OUT already is not run again (remove OUT/attune_* to try another attune).
set -euo pipefail
[ $# -ge 5 ] || { sed -n '5,7s/^# *//p' "$0" >&2; exit 2; }
attune=$1 python=$2 shared=$3 model=$4 out=$5 steps=${6:-125} examples=${7:-16} held=${8:-200} threads=${9:-2}
here=$(cd "$(dirname "$0")" && pwd)
length=512
export HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive # nothing is timed here: threads that wait need not spin
mkdir -p "$out"
trap 'tail -n 20 "$out"/*.err >&2' ERR
settings="$steps steps of $examples rows, $held held"
[ "$(cat "$out/settings" 2>/dev/null || echo "$settings")" = "$settings" ] || { echo "$out holds a run of $(cat "$out/settings"); give another OUT" >&2; exit 2; }
echo "$settings" >"$out/settings"
sed -n "1,$((steps * examples))p" "$shared/data/alpaca.jsonl" >"$out/train.jsonl"
sed -n "2001,$((2000 + held))p" "$shared/data/alpaca.jsonl" >"$out/held.jsonl"

[ -d "$out/init" ] || "$python" "$here/peft_new_adapter.py" "$model" "$out/init" 2>"$out/init.err"

if [ ! -d "$out/peer_adapter" ]; then
  echo "peer, float32: $steps steps of $examples rows"
  "$python" "$shared/peer/peft_sft.py" --model "$model" --data "$out/train.jsonl" --dtype float32 --threads "$threads" --adapter "$out/init" \
    --max-length $length --examples-per-step "$examples" --warmup 0 --steps "$steps" --peak-gflops 1 --save "$out/peer_adapter" >"$out/peer_f32.jsonl" 2>"$out/peer_f32.err"
fi

for dtype in float32 bfloat16; do
  run=$out/attune_$dtype
  [ ! -d "$run/adapter" ] || continue
  echo "attune, $dtype"
  rm -rf "$run"
  "$attune" train --json --set model="$model" --set data.train="$out/train.jsonl" --set data.max_length=$length --set data.overlength=truncate --set data.max_cut_share=1 \
    --set data.shuffle=false --set lora.r=16 --set lora.alpha=32 --set lora.init_from="$out/init" --set train.steps="$steps" \
    --set train.examples_per_step="$examples" --set train.learning_rate=2e-4 --set train.lr_scheduler=constant --set compute.device=cpu \
    --set compute.dtype=$dtype --set compute.threads="$threads" --set run_dir="$run" 2>"$out/attune_$dtype.err"
done

echo "held rows"
"$python" "$here/heldout_loss.py" "$shared/peer" "$model" "$out/held.jsonl" $length "$out/peer_adapter" "$out/attune_float32/adapter" \
  "$out/attune_bfloat16/adapter" >"$out/held_torch.jsonl" 2>"$out/held_torch.err"
for dtype in float32 bfloat16; do
  "$attune" eval --json --dtype $dtype --threads "$threads" --model "$model" --adapter "$out/attune_$dtype/adapter" --data "$out/held.jsonl" \
    --max-length $length --overlength truncate >"$out/held_attune_$dtype.json" 2>"$out/held_attune_$dtype.err"
done
"$python" "$here/smollm2_compare.py" "$out"
