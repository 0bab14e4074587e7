#!/usr/bin/env bash
# Checks lint, format and types; changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
