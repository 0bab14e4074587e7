"""``docs/editors.md``: its table is that of the installed diffusers, and what it calls tried is tried."""

from __future__ import annotations

from scripts.editors_table import FILE, TRIED, page
from scripts.tiny_models.pipelines import CLASSES


def test_the_table_is_up_to_date() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert page(text) == text, "run python -m scripts.editors_table"
    assert "`FluxKontextPipeline` | one" in text


def test_the_classes_that_are_tried_are_those_that_are_built() -> None:
    assert set(TRIED) == set(CLASSES)
