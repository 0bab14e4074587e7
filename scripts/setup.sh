#!/usr/bin/env bash
# Sets up the environment in .venv and, with "demo", the demo's data and tiny models; skips what is up to date.
# Usage: scripts/setup.sh [run|dev|bench] [demo]      (default: run demo)
# TORCH_INDEX=URL: install torch from another package index, or from a folder of wheels.
# "run" installs what an evaluation needs, "dev" also the test tools, "bench" also the peers of the bench, if available.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=run demo=no
[ $# -gt 0 ] || demo=yes
for word in "$@"; do
  case "$word" in
    run | dev | bench) kind=$word ;;
    demo) demo=yes ;;
    *) echo "usage: scripts/setup.sh [run|dev|bench] [demo]" >&2; exit 2 ;;
  esac
done

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3 python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "warmbench needs Python 3.11 or newer, which was not found: set PYTHON=/path/to/python" >&2
  exit 1
}

if [ ! -x .venv/bin/python ]; then
  python=$(find_python)
  echo "Making the environment .venv with $("$python" --version)"
  "$python" -m venv .venv
fi

. scripts/torch_index.sh
install_torch .venv/bin/python constraints.txt .venv/torch-index

# A stamp in .venv names what was installed; "bench" includes "dev", which includes "run".
wanted=$(cat pyproject.toml constraints.txt | .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
installed() { [ "$(cat ".venv/installed-$1" 2>/dev/null)" = "$wanted" ]; }
install() { # KIND EXTRAS
  echo "Installing [$2] into .venv (a few minutes the first time)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$2]" || return
  echo "$wanted" >".venv/installed-$1"
}
if ! installed dev && ! { [ "$kind" = run ] && installed run; }; then
  if [ "$kind" = run ]; then install run scheduler,editor,reward; else install dev scheduler,editor,reward,openai,parquet,dev; fi
fi
if [ "$kind" = bench ] && ! installed bench; then
  install bench bench || echo "The peers of the bench could not be installed: it will leave them out" >&2
fi

if [ "$demo" = yes ]; then
  .venv/bin/python -m scripts.make_demo_data outputs/demo/benchmark.json
  .venv/bin/python -m scripts.tiny_models outputs/tiny-models --only editor --only reward
fi
