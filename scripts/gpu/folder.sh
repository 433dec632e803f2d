#!/usr/bin/env bash
# Makes the folder that scripts/gpu-check.sh takes to a machine with a GPU: both programs, the tests that need a GPU as binaries,
# the reference runs and the PyTorch script to race against (from the reference data, where it is), rows, and a MANIFEST of hashes.
#
# usage: scripts/gpu/folder.sh [FOLDER]       FOLDER: gpu-check, made anew
# environment: ATTUNE_TEST_SHARED    the reference data (../shared); without it the reference runs and the race are left out
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-gpu-check}
shared=$(realpath -m "${ATTUNE_TEST_SHARED:-../shared}")
part=$(realpath -m "$folder").part
rm -rf "$part"
mkdir -p "$part"
eval "$(scripts/cuda-toolchain.sh)"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin"
cp bin/attune bin/attune-cuda "$tmp/bin/"
for test in engine/exec/cuda engine/lawtest cmd/attune; do
  go test -c -tags gpu -ldflags '-s -w' -o "$tmp/bin/$(basename "$test" | sed 's/^attune$/cmd/').test" "./$test"
done
python3 scripts/gpu/report.py pack "$tmp/bin" "$part/bin.tar.xz"
go run ./scripts/demo/rows --text 1 --rows 100 --held-out 1 "$tmp/rows"
cp "$tmp/rows/messages.jsonl" "$part/rows.jsonl"
cp scripts/gpu/report.py scripts/gpu/ceilings.py scripts/gpu/peer.py "$part/"
if [ -d "$shared/goldens" ]; then
  mkdir -p "$part/shared" "$part/peer"
  cp -r "$shared/goldens" "$part/shared/"
  cp "$shared/peer/peft_sft.py" "$shared/peer/peer_common.py" "$part/peer/"
else
  echo "gpu-check: no reference data at $shared (set ATTUNE_TEST_SHARED): left out" >&2
fi
(cd "$part" && find . -type f ! -name MANIFEST | LC_ALL=C sort | xargs -d '\n' sha256sum >MANIFEST)
size=$(du -s --apparent-size -B1 "$part" | cut -f1)
[ "$size" -le 60000000 ] || { echo "gpu-check: $size bytes, must stay under 60000000" >&2; exit 1; }
rm -rf "$folder"
mv "$part" "$folder"
echo "$folder: $size bytes"
