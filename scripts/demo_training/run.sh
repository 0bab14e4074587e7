#!/usr/bin/env bash
# Trains the VAE, the judge, then the editor, whose checkpoints are evaluated as they appear.
# Usage: scripts/demo_training/run.sh [options of `warmbench watch`]
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=outputs/demo-training

.venv/bin/python -m scripts.demo_training vae "$folder"
.venv/bin/python -m scripts.demo_training judge "$folder"
rm -rf "$folder/checkpoints"
mkdir "$folder/checkpoints"
.venv/bin/python -m scripts.demo_training editor "$folder" &
training=$!
.venv/bin/warmbench watch "$folder/checkpoints" --config configs/demo-training.yaml --until 1200 --settle 2 --poll 1 "$@" &
watching=$!
trap 'kill $training $watching 2>/dev/null || true; wait' EXIT
wait "$training"
wait "$watching"
