# Sourced by the scripts that set up environments. With TORCH_INDEX, the address of a package index or a folder of wheels,
# torch alone is installed from there: the build for another CUDA version, or for the CPU. An environment keeps its choice.

install_torch() { # PYTHON CONSTRAINTS NOTE: the file in the environment that names the index of its torch
  local from
  if [ -z "${TORCH_INDEX:-}" ] || [ "$(cat "$3" 2>/dev/null)" = "$TORCH_INDEX" ]; then return; fi
  if [ -d "$TORCH_INDEX" ]; then from=(--no-index --find-links "$TORCH_INDEX"); else from=(--index-url "$TORCH_INDEX"); fi
  echo "Installing torch from $TORCH_INDEX"
  # Builds of one version differ in their suffix only, so one that is installed would be kept.
  "$1" -s -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps -c "$2" "${from[@]}" torch || return
  echo "$TORCH_INDEX" >"$3"
}
