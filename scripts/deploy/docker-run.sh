#!/usr/bin/env bash
# attune in a container on this machine's GPUs. What it stops at is saved: `docker stop NAME` asks it to, and the same command
# goes on from there.
#
# usage: scripts/deploy/docker-run.sh DATA RUNS COMMAND...    as in: docker-run.sh ./data ./runs train -c /data/run.yaml --resume
#        DATA   is seen as /data, read only: run file, rows and model; RUNS as /runs, where run_dir is to be
# environment: IMAGE (attune), NAME (attune), GPUS (all; device=0 for one)
set -euo pipefail
[ $# -ge 3 ] || { sed -n 's/^# \{0,1\}//; 2,7p' "$0" >&2; exit 2; }
[ -d "$1" ] || { echo "docker-run: there is no directory $1" >&2; exit 2; }
mkdir -p "$2" || exit 2 # the engine would make it, as root's
data=$(realpath "$1") runs=$(realpath "$2")
shift 2
# --init: the process that signals go through, as attune would ignore the second one if it were the first process.
input=() # a chat is had at the terminal; what is piped arrives; else the terminal's input stays the shell's
if [ ! -t 0 ]; then input=(--interactive); elif [ "$1" = chat ]; then input=(--interactive --tty); fi
exec docker run --rm --init "${input[@]}" --name "${NAME:-attune}" --gpus "${GPUS:-all}" --stop-timeout 180 --user "$(id -u):$(id -g)" \
  --volume "$data:/data:ro" --volume "$runs:/runs" "${IMAGE:-attune}" "$@"
