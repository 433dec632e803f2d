#!/usr/bin/env bash
# What building for NVIDIA GPUs needs besides Go and gcc: cuda.h and NVRTC of a CUDA 12 toolkit. Takes the toolkit at CUDA_HOME
# or /usr/local/cuda; where there is none of version 12, fetches the two packages of scripts/cuda-requirements.txt with pip,
# each held to its SHA-256. Needs no GPU and no driver: a stub stands in for libcuda.so.1 when linking.
#
# usage: eval "$(scripts/cuda-toolchain.sh [DIR])"      DIR: where what is fetched and made is kept (.cache/cuda)
# prints: export lines of
#   ATTUNE_CUDA_INCLUDE    the directory of cuda.h
#   ATTUNE_NVRTC           the compiler, libnvrtc.so.12
#   CPATH, LIBRARY_PATH    where gcc finds cuda.h and the stub, for `go build -tags gpu`
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-.cache/cuda}
say() { echo "cuda-toolchain: $*" >&2; }
fail() { say "$*"; exit 1; }

[ "$(uname -sm)" = "Linux x86_64" ] || fail "builds for NVIDIA GPUs are made on Linux on x86-64; this is $(uname -sm)"
command -v gcc >/dev/null || fail "no gcc: the CUDA driver is called through cgo; install gcc"

mkdir -p "$dir"
dir=$(realpath "$dir")

# toolkit PREFIX sets include and nvrtc if a CUDA 12 toolkit is installed there.
toolkit() {
  local version
  [ -n "$1" ] || return 1
  if [ ! -f "$1/include/cuda.h" ]; then
    [ "$1" = /usr/local/cuda ] || say "passing over $1: no include/cuda.h in it"
    return 1
  fi
  version=$(sed -n 's/^#define CUDA_VERSION \([0-9]*\)$/\1/p' "$1/include/cuda.h")
  if [[ $version != 12??? ]]; then
    say "passing over $1: its cuda.h is of version ${version:-unknown}, and gorgonia.org/cu compiles with 12 alone"
    return 1
  fi
  for nvrtc in "$1"/lib64/libnvrtc.so.12 "$1"/targets/x86_64-linux/lib/libnvrtc.so.12; do
    if [ -f "$nvrtc" ]; then
      include=$1/include
      return
    fi
  done
  say "passing over $1: no libnvrtc.so.12 in its lib64"
  return 1
}

# wheels sets include and nvrtc to those of the packages, which it fetches once.
wheels() {
  local made=$dir/wheels python
  if ! cmp -s scripts/cuda-requirements.txt "$made/cuda-requirements.txt"; then
    python=$(command -v python3) || fail "no CUDA 12 toolkit (set CUDA_HOME), and no python3 to fetch one with"
    rm -rf "$made" "$made.part"
    mkdir -p "$made.part"
    say "no CUDA 12 toolkit here (CUDA_HOME, /usr/local/cuda): fetching cuda.h and NVRTC, some 90 MB, once"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r scripts/cuda-requirements.txt -d "$made.part/whl" >&2 ||
      fail "pip could not fetch the packages of scripts/cuda-requirements.txt; set CUDA_HOME to an installed CUDA 12 toolkit, or reach a package index"
    for wheel in "$made.part"/whl/*.whl; do
      "$python" -m zipfile -e "$wheel" "$made.part"
    done
    rm -rf "$made.part/whl"
    cp scripts/cuda-requirements.txt "$made.part/"
    mv "$made.part" "$made"
  fi
  include=$made/nvidia/cuda_runtime/include
  nvrtc=$made/nvidia/cuda_nvrtc/lib/libnvrtc.so.12
}

# stub makes a libcuda.so with every name of cuda.h, each answering CUDA_ERROR_STUB_LIBRARY: to link against. What runs loads
# the driver's own.
stub() {
  local made=$dir/stub
  cmp -s "$include/cuda.h" "$made/cuda.h" && return
  rm -rf "$made" "$made.part"
  mkdir -p "$made.part"
  grep -ohE '\<cu[A-Z][A-Za-z0-9_]*' "$include/cuda.h" | sort -u | sed 's/.*/int &(void) { return 34; }/' >"$made.part/stub.c"
  gcc -shared -fPIC -O1 -Wl,-soname,libcuda.so.1 -o "$made.part/libcuda.so" "$made.part/stub.c"
  cp "$include/cuda.h" "$made.part/"
  mv "$made.part" "$made"
}

toolkit "${CUDA_HOME:-}" || toolkit /usr/local/cuda || wheels
stub
# with DIRS DIR is the list with DIR in it. gcc reads these lists, and Go does not compile everything anew for them as it would for
# other CGO_CFLAGS.
with() {
  case :$1: in
    *:"$2":*) echo "$1" ;;
    *) echo "$2${1:+:$1}" ;;
  esac
}
printf 'export %s=%q\n' ATTUNE_CUDA_INCLUDE "$include" ATTUNE_NVRTC "$nvrtc" \
  CPATH "$(with "${CPATH:-}" "$include")" LIBRARY_PATH "$(with "${LIBRARY_PATH:-}" "$dir/stub")"
