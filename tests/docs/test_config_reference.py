"""``docs/config-reference.md`` is what the config's models say now, and has every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler.config.catalog import all_keys
from scheduler.config.models import FAMILIES
from scripts.config_reference import FILE, main, reference
from workers.models.keys import MAX_SEED

PAGE = FILE.read_text(encoding="utf-8")
KEYS = tuple(all_keys(builtin=True))
_MAPPING = re.compile(r"^##+ `([^`]+)`(?: of simulated models)?$", re.MULTILINE)


def rows_of(path: str) -> dict[str, str]:
    """Key to the text of its rows, in the parts of the page that are about the mapping at ``path``."""
    parts = _MAPPING.split(PAGE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    text = "".join(texts[name] for name in (path, path.partition(".")[2]) if name in texts)
    rows: dict[str, str] = {}
    for name, rest in re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE):
        rows[name] = rows.get(name, "") + rest
    return rows


def test_the_page_is_what_would_be_written_now(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, "run python -m scripts.config_reference"
    assert capsys.readouterr().out == "up to date\n"


def test_a_page_that_is_out_of_date_is_reported_and_written_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stale = tmp_path / "config-reference.md"
    monkeypatch.setattr("scripts.config_reference.FILE", stale)
    assert main(["--check"]) == 1
    assert not stale.exists()
    assert main([]) == 0
    assert stale.read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("path", sorted({key.path for key in KEYS}))
def test_the_page_has_every_key_with_its_meaning(path: str) -> None:
    parent, _, name = path.rpartition(".")
    row = rows_of(parent)[name]
    for key in KEYS:
        # Beside a built-in type there is no class_path, and beside a class_path no type.
        if key.path == path and name not in ("type", "class_path"):
            assert str(key.field.description) in row


def test_the_page_has_every_type_and_every_bound() -> None:
    for family in FAMILIES.values():
        for name in (*family.types(builtin=True), *family.spellings()):
            assert f"`{name}`" in rows_of(family.section)["type"]
    assert f"whole number, 0 to {MAX_SEED}" in rows_of("diffusion_model.params")["seed"]
    assert "above 0 and below 1" in rows_of("diffusion_model.params.optimizations")["first_block_cache"]
    assert "`0.05`" in rows_of("scheduler")["max_failures"]


def test_no_row_is_without_a_meaning_a_value_or_a_default() -> None:
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            assert all((cells[0], *cells[-3:])), line
