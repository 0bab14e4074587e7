#!/usr/bin/env bash
# Makes or updates a separate environment for the reward, and prints the lines for the config.
# Usage: scripts/setup_reward_env.sh [--conda NAME | --venv DIR] [--python PYTHON]
# The default is the conda environment qwen3_vl_env if there is a conda, else the folder .venv-reward.
# TORCH_INDEX=URL: install torch from another package index, or from a folder of wheels.
# PYTHON is the program or version for a new environment.
set -euo pipefail
# An active environment, or paths of another one, must not affect this one.
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME
from=$PWD
cd "$(dirname "$0")/.."

fail() { echo "$1" >&2; exit "${2:-1}"; }
usage() { fail "usage: scripts/setup_reward_env.sh [--conda NAME | --venv DIR] [--python PYTHON]" 2; }

name="" folder="" wanted=""
while [ $# -gt 0 ]; do
  if [ $# -lt 2 ] || [ -z "$2" ]; then usage; fi
  case "$1" in
    --conda) name=$2 ;;
    --venv) folder=$2 ;;
    --python) wanted=$2 ;;
    *) usage ;;
  esac
  shift 2
done
if [ -n "$name" ] && [ -n "$folder" ]; then usage; fi
conda=$(command -v conda || echo "${CONDA_EXE:-}")
if [ -z "$name$folder" ]; then
  if [ -n "$conda" ]; then name=qwen3_vl_env; else folder=$PWD/.venv-reward; fi
fi
if [ -n "$name" ] && [ -z "$conda" ]; then fail "conda was not found, so $name cannot be made: use --venv DIR" 2; fi
case "$folder" in "" | /*) ;; *) folder=$from/$folder ;; esac

find_python() {
  local candidate candidates=("$wanted" "python$wanted")
  [ -n "$wanted" ] || candidates=(python3.11 python3 python)
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "the reward needs Python 3.11 or newer, which was not found${wanted:+ as $wanted}: give --python PYTHON" 2
}
conda_python() { "$conda" run --no-capture-output -n "$name" python -s -c 'import sys; print(sys.executable)'; }
conda_version() {
  case "$wanted" in
    "") echo 3.11 ;;
    [0-9]*) echo "$wanted" ;;
    *) "$wanted" -c 'import platform; print(platform.python_version())' ;;
  esac
}

if [ -n "$folder" ]; then
  python=$folder/bin/python line="python: $folder/bin/python"
  if [ ! -x "$python" ]; then
    if [ -n "$(ls -A "$folder" 2>/dev/null)" ]; then fail "$folder exists and is not an environment: name another" 2; fi
    base=$(find_python)
    echo "Making the environment $folder with $("$base" --version)"
    "$base" -m venv "$folder"
  fi
else
  line="conda_env: $name"
  if ! python=$(conda_python 2>/dev/null); then
    echo "Making the conda environment $name with Python $(conda_version)"
    "$conda" create --yes --quiet --name "$name" "python=$(conda_version)" pip
    python=$(conda_python)
  fi
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is $("$python" --version 2>&1), but the reward needs 3.11 or newer: remove it, or name another" 2

# A stamp names what was installed.
stamp=$("$python" -c 'import sys; print(sys.prefix)')/warmbench-installed
source=$({ pwd && cat pyproject.toml constraints-reward.txt; } | sha256sum)
check() {
  (cd / && "$python" -s - 2>&1) <<'PROGRAM'
import platform
import sys

sys.path[0:1] = []
import torch
import transformers
from transformers import AutoModelForImageTextToText, Qwen3VLForConditionalGeneration

import workers.worker

print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}")
PROGRAM
}

index=$(cat "${stamp%/*}/torch-index" 2>/dev/null || true)
if [ "${TORCH_INDEX:-$index}" = "$index" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$source" ] && versions=$(check); then
  echo "Up to date: ${versions##*$'\n'}"
else
  echo "Installing [reward] for $python (some minutes the first time)"
  "$python" -s -m pip --version >/dev/null 2>&1 || "$python" -s -m ensurepip --default-pip >/dev/null
  . scripts/torch_index.sh
  install_torch "$python" constraints-reward.txt "${stamp%/*}/torch-index"
  "$python" -s -m pip install --quiet --disable-pip-version-check -c constraints-reward.txt -e ".[reward]"
  versions=$(check) || fail "the installed packages cannot be imported:"$'\n'"$versions"
  echo "$source" >"$stamp"
  echo "Ready: ${versions##*$'\n'}"
fi
cat <<CONFIG
For the config:

reward_model:
  type: qwen3_vl_subprocess
  params:
    $line
CONFIG
