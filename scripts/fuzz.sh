#!/usr/bin/env bash
# Fuzzes every target, one after the other, and prints a table. What was found interesting is kept in .cache/fuzz and is where the
# next fuzzing begins; an input that fails is written to the package's testdata/fuzz, to be mended and committed. Fails if one did.
#
# usage: fuzz.sh MINUTES [REGEX]        minutes for each target; REGEX: only those whose "folder Name" matches
set -uo pipefail
[[ $# -ge 1 && $# -le 2 && $1 =~ ^[0-9]+(\.[0-9]+)?$ ]] || { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
only=${2:-.}
cd "$(dirname "$0")/.." || exit 1
checkout=$PWD
tests=$(mktemp -d)
trap 'rm -rf "$tests"' EXIT
seconds=$(awk "BEGIN { print int($1 * 60 + 0.5) }")

row() { printf '%-24s %-16s %12s %8s %8s  %s\n' "$@"; }

# last NAME LOG is the number behind a word of the fuzzer's last line of progress.
last() { grep -oE "$1: [0-9]+" "$2" | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }

failed=0 targets=0
row folder target inputs corpus new result
while IFS=: read -r file name; do
  folder=$(dirname "$file")
  [[ "$folder $name" =~ $only ]] || continue
  targets=$((targets + 1))
  binary=$tests/${folder//\//-} log=$tests/log result=passed
  if [ ! -x "$binary" ] && ! go test -c -fuzz . -o "$binary" "./$folder" >"$log" 2>&1; then
    result="does not build"
  elif mkdir -p "$checkout/.cache/fuzz/$folder" && ! (cd "$folder" && "$binary" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "${seconds}s" \
    -test.fuzzminimizetime 20x -test.fuzzcachedir "$checkout/.cache/fuzz/$folder") >"$log" 2>&1; then
    result=FAILED
  fi
  row "$folder" "$name" "$(last execs "$log")" "$(last total "$log")" "$(last interesting "$log")" "$result"
  if [ "$result" != passed ]; then
    failed=$((failed + 1))
    grep -v '^fuzz: elapsed' "$log" | head -n 40 | sed 's/^/    /'
  fi
done < <(git grep -oE 'func Fuzz\w+' -- '*_test.go' | sed 's/func //')

[ "$targets" -gt 0 ] || { echo "no target matches $only" >&2; exit 2; }
echo "$targets targets, $failed failed, $1 minutes each"
[ "$failed" -eq 0 ]
