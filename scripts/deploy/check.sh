#!/usr/bin/env bash
# Holds Dockerfile.cuda and the files beside this one to what they say, where there is no container engine: runs each RUN line
# of the Dockerfile in this checkout, sees that what it copies out of the build was made, that it stays under 100 MB, and that
# without a driver the program says so with exit 4. `go test ./scripts/deploy` parses the files themselves.
#
# usage: scripts/deploy/check.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

while read -r command; do
  echo "+ $command"
  bash -euo pipefail -c "$command"
done < <(sed -n 's/^RUN //p' Dockerfile.cuda)

bytes=0
for path in $(sed -n 's|^COPY --from=build \(/src/.*\) [^ ]*$|\1|p' Dockerfile.cuda); do
  file=${path#/src/}
  [ -x "$file" ] || { echo "$file was not made"; exit 1; }
  bytes=$((bytes + $(stat -c %s "$file")))
done
echo "the image is its base and $((bytes / 1000000)) MB"
[ "$bytes" -gt 0 ] && [ "$bytes" -lt 100000000 ] || { echo "not under 100 MB"; exit 1; }

# The HEALTHCHECK's command.
command=$(sed -n 's/^HEALTHCHECK.* CMD \[\(.*\)\]$/\1/p' Dockerfile.cuda | tr -d '",')
code=0
PATH=$PWD/bin:$PATH $command >/dev/null 2>"${TMPDIR:-/tmp}/attune-health.$$" || code=$?
said=$(cat "${TMPDIR:-/tmp}/attune-health.$$")
rm -f "${TMPDIR:-/tmp}/attune-health.$$"
echo "$command: exit $code${said:+: $said}"
[ "$code" = 0 ] || [ "$code" = 4 ]
