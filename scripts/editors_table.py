"""Writes the table in ``docs/editors.md`` from the installed diffusers and from what is known of its pipelines.

Usage: ``python -m scripts.editors_table [--check]``. With ``--check`` nothing is written; exit code 1 says that the
table is out of date.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from scripts.tiny_models.pipelines import CLASSES
from workers.models.editors.pipeline_arguments import KEYS
from workers.models.editors.pipeline_facts import (
    NEEDED_PACKAGES,
    NO_EDITORS,
    ONE_IMAGE,
    PRESETS,
    SEVERAL_IMAGES,
)
from workers.models.editors.signatures import signature_of

FILE = Path(__file__).resolve().parents[1] / "docs" / "editors.md"
_TABLE = re.compile(r"(?<=<!-- table -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)


def table() -> str:
    """The rows, one per class."""
    rows = [
        "| class | images | keys, with the default of the class | preset | tried |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*rows, *map(_row, sorted({*ONE_IMAGE, *SEVERAL_IMAGES, *NO_EDITORS}))])


def _row(name: str) -> str:
    signature = signature_of(name)
    if signature is None:
        raise SystemExit(f"the installed diffusers has no {name}")
    if name in NO_EDITORS:
        return f"| `{name}` | - | - | - | refused: it {NO_EDITORS[name]} |"
    count = "several" if name in SEVERAL_IMAGES else "one"
    keys = []
    for key in KEYS:
        if key in signature:
            default = signature.arguments[key]
            keys.append(f"`{key}`" if default is None else f"`{key}` {default}")
    tried = "with a stand-in for torchvision" if NEEDED_PACKAGES.get(name) == "torchvision" else "yes"
    if name not in CLASSES:
        raise SystemExit(f"scripts/tiny_models/pipelines builds no {name}")
    return f"| `{name}` | {count} | {', '.join(keys)} | {_presets(name)} | {tried} |"


def _presets(name: str) -> str:
    texts = []
    for preset in PRESETS:
        if preset.pipeline == name:
            values = [f"`{key}: {_shown(value)}`" for key, value in preset.arguments.items()]
            if preset.area is not None:
                values.append(f"{preset.area:,} pixels in the ratio of the source")
            distilled = {None: "", True: " if distilled", False: " otherwise"}[preset.distilled]
            texts.append(f"{', '.join(values) or 'the defaults'}{distilled} ({preset.source})")
    return "; ".join(texts)


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def page(text: str) -> str:
    """The page with the table of now."""
    return _TABLE.sub(lambda _: table(), text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.editors_table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the table is out of date")
    options = parser.parse_args(arguments)
    text = FILE.read_text(encoding="utf-8")
    if page(text) == text:
        return 0
    if options.check:
        print(f"{FILE} is out of date: run python -m scripts.editors_table")
        return 1
    FILE.write_text(page(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
