"""``docs/editors.md``: its table is that of the installed diffusers, and what it calls tried is tried."""

from __future__ import annotations

from scripts.editors_table import FILE, page, table
from scripts.tiny_models.pipelines import CLASSES
from workers.models.editors.pipeline_facts import ONE_IMAGE, PRESETS, SEVERAL_IMAGES


def test_the_table_is_up_to_date() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert page(text) == text, "run python -m scripts.editors_table"
    assert "`FluxKontextPipeline` | one" in text


def test_every_class_is_tried_or_the_reason_is_given() -> None:
    rows = [line for line in table().splitlines() if line.startswith("| `")]
    assert len(rows) == 20
    refused: list[str] = []
    tried: list[str] = []
    for row in rows:
        (refused if " | refused: it " in row else tried).append(row.split("`")[1])
    assert refused == ["QwenImageLayeredPipeline"]
    assert tried == list(CLASSES)


def test_every_class_has_a_preset_with_its_source() -> None:
    assert {preset.pipeline for preset in PRESETS} == ONE_IMAGE | SEVERAL_IMAGES
    assert all(preset.source for preset in PRESETS)
