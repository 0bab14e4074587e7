#!/usr/bin/env bash
# Measures the real architectures on a bare GPU machine. The machine brings torch, transformers, accelerate and
# safetensors, and has no package index: other packages come as wheels in a folder.
#
#   scripts/full_size.sh wheels DIR [PYTHON_VERSION]     here: download the wheels for such a machine (default 3.12)
#   scripts/full_size.sh run [--wheels DIR] OPTIONS...   there: use them; options of `python -m scripts.full_size`
set -euo pipefail
cd "$(dirname "$0")/.."
usage() { sed -n '5,6s/^# *//p' "$0" >&2; exit 2; }

download() { # DIR PYTHON_VERSION
  local pip=("${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --only-binary=:all: -c constraints.txt
    --python-version "$2" --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64
    --platform manylinux2014_x86_64 --dest "$1")
  # torch and what the machine builds on it stay as they are, so these come without their dependencies.
  "${pip[@]}" --no-deps bitsandbytes diffusers importlib_metadata peft scipy torchao zipp
  "${pip[@]}" msgpack msgspec nvidia-ml-py pillow psutil pybase64 pydantic pyyaml pyzmq requests rich setproctitle zlib-ng
  du -sh "$1"
}

case "${1:-}" in
  wheels)
    [ $# -ge 2 ] && [ $# -le 3 ] || usage
    download "$2" "${3:-3.12}"
    ;;
  run)
    shift
    if [ "${1:-}" = --wheels ]; then
      [ $# -ge 2 ] || usage
      site=$(mktemp -d)
      trap 'rm -rf "$site"' EXIT
      "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile \
        --target "$site" "$2"/*.whl
      export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
      shift 2
    fi
    "${PYTHON:-python3}" -m scripts.full_size "$@"
    ;;
  *) usage ;;
esac
