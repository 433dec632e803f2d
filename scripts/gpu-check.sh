#!/usr/bin/env bash
# Checks and times attune on an NVIDIA GPU, from the folder that `make gpu-check` builds: no Go is needed on the machine. A stage
# that fails does not stop the next ones; each runs under a limit of its own. Nothing of the GPU's settings is touched.
#
# usage: scripts/gpu-check.sh [-d FOLDER] [-s STAGES] OUT
#   -d FOLDER   what `make gpu-check` built (gpu-check)
#   -s STAGES   a regular expression: only the stages whose names match, info always (all)
#   OUT         result.json, table.md and log.txt are written here; results of stages that did not run again are kept
# environment: ATTUNE_CUDA_LIBS   where cuBLASLt is, if attune does not find it by itself
#              PYTHON             a Python with torch, transformers and peft, to race against (python3)
set -uo pipefail
cd "$(dirname "$0")/.."
folder=gpu-check only=.
usage() { sed -n '5,11s/^# //p' "$0" >&2; exit 2; }
while getopts d:s: flag; do
  case $flag in
    d) folder=$OPTARG ;;
    s) only=$OPTARG ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# = 1 ] || usage
[ -f "$folder/MANIFEST" ] || { echo "gpu-check: no $folder/MANIFEST; make gpu-check builds the folder, or name it with -d" >&2; exit 2; }
mkdir -p "$1" || exit 2
out=$(realpath "$1") folder=$(realpath "$folder") python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$folder" && sha256sum --quiet -c MANIFEST) || { echo "gpu-check: $folder is not whole; build it again" >&2; exit 2; }
"$python" "$folder/report.py" unpack "$folder/bin.tar.xz" "$work" || exit 2
export ATTUNE_TEST_SHARED=$folder/shared ATTUNE_TEST_DEVICE=cuda HF_HUB_OFFLINE=1
results=$out/stages.jsonl log=$out/log.txt
touch "$results"

# stage NAME LIMIT COMMAND... runs the command; the last line that begins with { is its result.
stage() {
  local name=$1 limit=$2 rc begin
  shift 2
  [[ $name =~ $only || $name = info ]] || return 0
  begin=$(date +%s.%N)
  echo "== $name (at most $limit s)" | tee -a "$log"
  timeout -k 10 "$limit" bash -c '"$@"' stage "$@" >"$work/out" 2>&1 </dev/null
  rc=$?
  cat "$work/out" >>"$log"
  [ $rc = 0 ] || tail -n 15 "$work/out"
  "$python" "$folder/report.py" add "$results" "$name" "$rc" "$(echo "$(date +%s.%N) $begin" | awk '{print $1 - $2}')" "$work/out"
  echo "   rc $rc"
}

# tests BINARY ARGS... is a test binary, run where its files are; it fails where no test ran.
tests() {
  local binary=$1
  shift
  (cd "$work" && "./$binary" -test.v -test.timeout 9m "$@") >"$work/tests" 2>&1
  local rc=$?
  grep -vE '^=== ' "$work/tests" | grep -E -B 30 -- '--- FAIL|^panic|^FAIL|rror' | tail -n 60
  "$python" "$folder/report.py" count "$work/tests"
  grep -q -e '^--- PASS' "$work/tests" && return $rc
}

info() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader
  ldd --version | head -n 1
  "$work/attune" doctor --json --device cuda >"$work/doctor.json" || { cat "$work/doctor.json"; return 1; }
  "$python" "$folder/report.py" info "$work/doctor.json"
}

# same_run trains twice and once with an interruption: the same bytes.
same_run() {
  local args=(--set "model=$work/model" --set "data.train=$folder/rows.jsonl" --set data.max_length=512 --set lora.dropout=0.1
    --set train.examples_per_step=8 --set train.epochs=1 --set compute.device=cuda --set compute.dtype="$1")
  [ -d "$work/model" ] || "$work/attune" new-model "$work/model" --hidden-size 128 --num-attention-heads 2 --num-key-value-heads 1 >/dev/null || return 1
  for i in 1 2; do
    rm -rf "$work/run$i" && "$work/attune" train "${args[@]}" --set "run_dir=$work/run$i" >/dev/null || return 1
  done
  cmp "$work/run1/adapter/adapter_model.safetensors" "$work/run2/adapter/adapter_model.safetensors" || return 1
  "$work/attune" verify-resume --steps 6 --kills 2 "${args[@]}" --set "run_dir=$work/verify"
}

# sanitize TOOL runs the op suite under compute-sanitizer, without what is not ours.
sanitize() {
  command -v compute-sanitizer >/dev/null || { echo "no compute-sanitizer"; return 1; }
  (cd "$work" && compute-sanitizer --tool "$1" --error-exitcode 9 --kernel-name-exclude kernel_substring=cublas ./cuda.test -test.run 'TestSuite/path=(own|sm80,own)?$/.*/(float32|bfloat16)$' -test.timeout 9m)
}

bench() { "$work/attune" bench --device cuda --json "$@" >"$work/bench.json" && cat "$work/bench.json" | "$python" "$folder/report.py" line; }

peer() {
  local shape=$1 tokens=$2 rows=$3
  shift 3
  "$work/attune" bench --shape "$shape" --config >"$work/config.json" &&
    "$python" "$folder/peer.py" --peer "$folder/peer" --config "$work/config.json" --tokens "$tokens" --rows "$rows" -- --device cuda --dtype bfloat16 "$@"
}

with() { export "$1"; shift; "$@"; } # with NAME=VALUE COMMAND...

export work folder python
export -f tests info same_run sanitize bench peer with

stage info 60 info
stage smoke 60 tests cuda.test -test.run 'TestName|TestTransfers|TestEqualsReference'
stage suite 240 tests cuda.test -test.run '^TestSuite$'
stage backend 120 tests cuda.test -test.skip '^TestSuite$'
stage goldens 180 tests cmd.test -test.run '^TestGoldens'
stage repeat-float32 90 same_run float32
stage repeat-bfloat16 90 same_run bfloat16
stage laws 150 tests lawtest.test -test.run '^TestCUDA' -rapid.checks=4
stage memcheck 150 sanitize memcheck
stage racecheck 150 sanitize racecheck

stage ceilings 120 "$python" "$folder/ceilings.py"
stage curve-float32 60 bench --shape smollm2-135m --tokens 2048 --steps 20 --warmup 0 --dtype float32
stage curve-bfloat16 60 bench --shape smollm2-135m --tokens 2048 --steps 20 --warmup 0 --dtype bfloat16
stage llama3-8b-a 90 bench --shape llama3-8b --tokens 4096 --dtype bfloat16 --profile
stage peer-llama3-8b 150 peer llama3-8b 4096 1 --pack none --head fused
stage llama3-8b-b 90 bench --shape llama3-8b --tokens 4096 --dtype bfloat16
stage peer-llama3-8b-compiled 240 peer llama3-8b 4096 1 --pack none --head fused --compile 1
stage llama3-8b-c 90 bench --shape llama3-8b --tokens 4096 --rows 4 --dtype bfloat16
stage llama3-8b-sm80 90 with ATTUNE_CUDA_PATH=sm80 bench --shape llama3-8b --tokens 4096 --dtype bfloat16 --profile
stage qwen2.5-7b 90 bench --shape qwen2.5-7b --tokens 4096 --dtype bfloat16
stage qwen2.5-1.5b 60 bench --shape qwen2.5-1.5b --tokens 8192 --dtype bfloat16
stage smollm2-135m 60 bench --shape smollm2-135m --tokens 16384 --examples 32 --dtype bfloat16

"$python" "$folder/report.py" table "$results" "$out" "$folder/MANIFEST" && cat "$out/table.md"
