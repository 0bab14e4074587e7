#!/usr/bin/env bash
# Formats the code and applies the linter's automatic fixes.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff check --fix .
.venv/bin/ruff format .
