#!/usr/bin/env bash
# Sets up the environment in .venv, and the demo's data and tiny models for "demo" or a config that names them; skips
# what is up to date.
# Usage: scripts/setup.sh run --config FILE ...      (default: --config configs/demo.yaml)
#        scripts/setup.sh dev|bench [demo]
# "run" installs what `warmbench run` with the same arguments needs, and no more; "dev" everything and the test tools,
# "bench" also the peers of the bench, if available.
# TORCH_INDEX=URL: install torch from another package index, or from a folder of wheels.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- run --config configs/demo.yaml
kind=$1 demo=no
shift
case "$kind ${1:-}" in
  "dev " | "bench " | "run --config") ;;
  "dev demo" | "bench demo") demo=yes ;;
  *) echo "usage: scripts/setup.sh dev|bench [demo], or scripts/setup.sh run --config FILE ..." >&2; exit 2 ;;
esac

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
with_torch() { install_torch .venv/bin/python constraints.txt .venv/torch-index; }

# A stamp in .venv for each extra names what was installed; "dev" includes all but "bench", "ray" and the trackers.
wanted=$(cat pyproject.toml constraints.txt | .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
stamped() { [ "$(cat ".venv/installed-$1" 2>/dev/null)" = "$wanted" ]; }
install() { # EXTRA...: those that are not installed
  local extra names="" missing=()
  for extra in "$@"; do
    if ! stamped "$extra" && { [[ " bench ray wandb mlflow tensorboard " = *" $extra "* ]] || ! stamped dev; }; then
      missing+=("$extra")
      names+="${names:+,}$extra"
    fi
  done
  [ -n "$names" ] || return 0
  echo "Installing [$names] into .venv (a few minutes the first time)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$names]" || return
  for extra in "${missing[@]}"; do echo "$wanted" >".venv/installed-$extra"; done
}

if [ "$kind" = run ]; then
  install scheduler
  read -ra extras <<<"$(.venv/bin/python -m scripts.needed_extras "$@")"
  case " ${extras[*]-} " in *" editor "* | *" reward "*) with_torch ;; esac
  install ${extras[@]+"${extras[@]}"}
  if grep -qsE 'outputs/(demo|tiny-models)/' "$2"; then demo=yes; fi
else
  with_torch
  install scheduler editor reward openai parquet plots dev
  install ray || echo "Ray could not be installed: tests with it are skipped" >&2
  install wandb mlflow tensorboard || echo "The trackers could not be installed: tests with them are skipped" >&2
fi
if [ "$kind" = bench ]; then
  install bench || echo "The peers of the bench could not be installed: it will leave them out" >&2
fi

if [ "$demo" = yes ]; then
  .venv/bin/python -m scripts.make_demo_data outputs/demo/benchmark.json
  .venv/bin/python -m scripts.tiny_models outputs/tiny-models --only editor --only reward
fi
