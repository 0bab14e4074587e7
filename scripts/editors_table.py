"""Writes the table in ``docs/editors.md`` from the installed diffusers and from what is known of its pipelines.

Usage: ``python -m scripts.editors_table [--check]``. With ``--check`` nothing is written; exit code 1 says that the
table is out of date.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from workers.models.editors.pipeline_arguments import KEYS
from workers.models.editors.pipeline_facts import ONE_IMAGE, PRESETS, SEVERAL_IMAGES
from workers.models.editors.signatures import signature_of

FILE = Path(__file__).resolve().parents[1] / "docs" / "editors.md"
TRIED = (
    "Flux2KleinKVPipeline",
    "Flux2KleinPipeline",
    "FluxKontextPipeline",
    "LongCatImageEditPipeline",
    "QwenImageEditPipeline",
    "QwenImageEditPlusPipeline",
    "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionXLInstructPix2PixPipeline",
)
"""The classes that ``tests/workers/models/editors/test_diffusers_editor.py`` compares with a direct call."""

_TABLE = re.compile(r"(?<=<!-- table -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)


def table() -> str:
    """The rows, one per class."""
    rows = [
        "| class | images | keys, with the default of the class | preset | tried |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*rows, *map(_row, sorted(ONE_IMAGE | SEVERAL_IMAGES))])


def _row(name: str) -> str:
    signature = signature_of(name)
    if signature is None:
        raise SystemExit(f"the installed diffusers has no {name}")
    count = "several" if name in SEVERAL_IMAGES else "one"
    keys = []
    for key in KEYS:
        if key in signature:
            default = signature.arguments[key]
            keys.append(f"`{key}`" if default is None else f"`{key}` {default}")
    tried = "yes" if name in TRIED else "no"
    return f"| `{name}` | {count} | {', '.join(keys)} | {_presets(name)} | {tried} |"


def _presets(name: str) -> str:
    texts = []
    for preset in PRESETS:
        if preset.pipeline == name:
            values = ", ".join(f"`{key}: {_shown(value)}`" for key, value in preset.arguments.items())
            distilled = " if distilled" if preset.distilled else ""
            texts.append(f"{values}{distilled} ({preset.source})")
    return "; ".join(texts) or "-"


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
