"""``python -m scripts.tiny_models OUTPUT_DIR``: builds the tiny models that are missing or out of date."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.tiny_models.catalog import MODELS


def main(arguments: Sequence[str] | None = None) -> None:
    """Build ``OUTPUT_DIR/<model>`` for each model, or only those of ``--only``; print one line for each."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tiny_models", description=__doc__)
    parser.add_argument("output_dir", type=Path, help="the folder for one folder per model")
    parser.add_argument("--only", choices=tuple(MODELS), action="append", help="only this model; may be repeated")
    options = parser.parse_args(arguments)
    for name in options.only or MODELS:
        folder = options.output_dir / name
        if MODELS[name].is_current(folder):
            print(f"{folder}: up to date")
            continue
        started = time.perf_counter()
        MODELS[name].build(folder)
        print(f"{folder}: built in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
