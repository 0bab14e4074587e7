#!/usr/bin/env bash
# Starts a config's pool on this node, shows what each worker loads, and returns when all are ready.
# Models that take turns on a GPU are loaded when a run needs them.
# Usage: scripts/launch_workers.sh CONFIG [--pool NAME] [--foreground]
# It is a batch script of Slurm as well; there it stays in the foreground:
#        sbatch OPTIONS scripts/launch_workers.sh CONFIG [--pool NAME]
set -euo pipefail
if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
  echo "usage: scripts/launch_workers.sh CONFIG [--pool NAME] [--foreground]" >&2
  exit 2
fi
config=$1
shift
checkout="$(dirname "$0")/.."
case "${SLURM_JOB_ID:+in a job}:$0" in
  "in a job:"*/slurm_script) # Slurm runs a copy of this file; the job ends with it
    checkout="${SLURM_SUBMIT_DIR:-.}"
    set -- "$@" --foreground
    ;;
esac
# The checkout's own environment if it exists, else the installed warmbench.
warmbench="$checkout/.venv/bin/warmbench"
[ -x "$warmbench" ] || warmbench=warmbench
exec "$warmbench" workers start --config "$config" "$@"
