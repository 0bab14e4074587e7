#!/usr/bin/env bash
# Starts a config's pool on this node, shows what each worker loads, and returns when all are ready.
# Models that take turns on a GPU are loaded when a run needs them.
# Usage: scripts/launch_workers.sh CONFIG [--pool NAME] [--foreground]
set -euo pipefail
if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
  echo "usage: scripts/launch_workers.sh CONFIG [--pool NAME] [--foreground]" >&2
  exit 2
fi
config=$1
shift
# The checkout's own environment if it exists, else the installed warmbench.
warmbench="$(dirname "$0")/../.venv/bin/warmbench"
[ -x "$warmbench" ] || warmbench=warmbench
exec "$warmbench" workers start --config "$config" "$@"
