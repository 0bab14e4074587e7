"""``python -m scripts.mover``: two workers move one model's weights to their devices and away, five times.

The device is a second copy in CPU memory, the rest is real: checkpoint, libraries, the worker's own classes. Prints a
Markdown table of their memory. Needs three times the checkpoint's size in memory.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from scripts.mover.checkpoint import Size
from scripts.mover.suite import move_all


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mover", description=__doc__)
    parser.add_argument("--layers", type=int, default=3, help="of the transformer, 0.68 GB each (default: 3)")
    parser.add_argument("--heads", type=int, default=24, help="of the transformer (default: 24, as published)")
    parser.add_argument("--only", nargs="+", default=None, metavar="CASE", help="these cases only")
    parser.add_argument(
        "--folder", type=Path, help="where to build and keep the checkpoints (default: a temporary one)"
    )
    options = parser.parse_args(arguments)
    size = Size(options.layers, options.heads)
    with tempfile.TemporaryDirectory(prefix="warmbench-mover-") as folder:
        for line in move_all(options.folder or Path(folder), size, options.only):
            print(line, flush=True)


if __name__ == "__main__":
    main()
