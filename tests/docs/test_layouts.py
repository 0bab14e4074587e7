"""The layouts in ``docs/layouts.md`` are those that the program resolves, and its sums are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler.config.document import Config
from scheduler.config.layout import Gpu, resolve_layout
from scheduler.config.loading import load_config
from scheduler.pool.residency import Weights, off_device
from tests.docs.markdown import ROOT, read
from workers.models.fitting import GPUS, WORKING_BYTES

TEXT = read(ROOT / "docs" / "layouts.md")

_EXAMPLE = re.compile(r"^### ([^\n]+)\n\n```yaml\n(.*?)```\n\n```text\n(.*?)```", re.MULTILINE | re.DOTALL)
_GPUS = {"One GPU": 1, "N GPUs, shared": 6, "N editors and dedicated reward GPUs": 8, "Models on several GPUs": 8}
EXAMPLES = [(name, config, shown) for name, config, shown in _EXAMPLE.findall(TEXT)]

EDITOR, REWARD = 57.7, 62.1
_SIX_EDITORS = "diffusion_model: {type: multi_gpu_qwen_edit, params: {device_ids: [0, 1, 2, 3, 4, 5]}}"
_MIB = 2**20 / 1e9


def gpus(count: int) -> list[Gpu]:
    return [Gpu(index, "a GPU", 80 << 30) for index in range(count)]


def config_of(folder: Path, text: str) -> Config:
    path = folder / "layout.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_there_is_an_example_of_each_layout() -> None:
    assert [name for name, _, _ in EXAMPLES] == list(_GPUS)


@pytest.mark.parametrize(("name", "config", "shown"), EXAMPLES)
def test_an_example_has_the_layout_that_is_shown_below_it(name: str, config: str, shown: str, tmp_path: Path) -> None:
    layout = resolve_layout(config_of(tmp_path, config), gpus(_GPUS[name]))
    lines = shown.splitlines()
    assert lines[0].endswith(f" on {', '.join(layout.editors)}")
    assert lines[1].endswith(f" on {', '.join(layout.rewards)}")
    assert lines[2] == f"Residency: {layout.residency}"


@pytest.mark.parametrize(
    ("count", "config", "editors", "rewards", "residency"),
    [
        (1, "diffusion_model: {type: qwen_image_edit}", [0], [0], "swap"),
        (6, "diffusion_model: {type: qwen_image_edit}", [0], [0], "swap"),
        (8, "diffusion_model: {type: multi_gpu_qwen_image_edit}", [*range(7)], [7], "resident"),
        (6, _SIX_EDITORS, [*range(6)], [*range(6)], "swap"),
        (8, _SIX_EDITORS, [*range(6)], [6], "resident"),
    ],
)
def test_auto_is_what_the_table_says(
    count: int, config: str, editors: list[int], rewards: list[int], residency: str, tmp_path: Path
) -> None:
    layout = resolve_layout(config_of(tmp_path, config), gpus(count))
    assert list(layout.editors) == [f"cuda:{index}" for index in editors]
    assert list(layout.rewards) == [f"cuda:{index}" for index in rewards]
    assert layout.residency == residency


def row(first: str) -> list[str]:
    """The other cells of the row with this first cell."""
    line = re.search(rf"^\| {re.escape(first)} \|(.*)\|$", TEXT, re.MULTILINE)
    assert line is not None, first
    return [cell.strip() for cell in line[1].split("|")]


def rows(table: int) -> list[list[str]]:
    """The rows of one of the two tables that the script writes."""
    made = TEXT.partition("<!-- fitting -->\n\n")[2].partition("\n\n<!-- end -->")[0].split("\n\n")[table]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in made.splitlines() if "---" not in line]


def test_a_model_is_whole_where_its_weights_and_its_work_fit() -> None:
    (_, _, *gpus_shown), *models = rows(0)
    assert gpus_shown == [*GPUS]
    assert len(models) == 6
    for name, weights, *cells in models:
        work = WORKING_BYTES["reward" if name.startswith("Qwen3-VL") else "editor"] / 1e9
        fits = [float(weights.removesuffix(" GB")) + work <= mebibytes * _MIB for mebibytes in GPUS.values()]
        assert [cell == "whole" for cell in cells] == fits, name


def test_a_pair_is_resident_where_both_are_whole_and_can_work() -> None:
    size = {name: float(weights.removesuffix(" GB")) for name, weights, *_ in rows(0)[1:]}
    (_, _, *gpus_shown), *pairs = rows(1)
    assert gpus_shown == [*GPUS]
    assert len(pairs) == 9
    for editor, judge, *cells in pairs:
        needed = size[editor] + size[judge] + sum(WORKING_BYTES.values()) / 1e9
        assert [cell == "resident" for cell in cells] == [needed <= mib * _MIB for mib in GPUS.values()], (
            editor,
            judge,
        )
        assert {cell.partition(";")[0] for cell in cells} <= {"resident", "swap"}


@pytest.mark.parametrize(
    ("weights", "own", "each"),
    [
        ("as in their files, on any number of GPUs", 0, 1),
        ("as in their files, on any number of GPUs", 0, 8),
        ("cast by `dtype`, one GPU", 1, 1),
        ("cast by `dtype`, six GPUs", 1, 6),
    ],
)
def test_the_host_memory_follows_from_the_rule(weights: str, own: int, each: int) -> None:
    held, needed = (float(cell.removesuffix(" GB").replace(",", "")) for cell in row(weights))
    assert held == pytest.approx((EDITOR + REWARD) * (each if own else 1))
    sizes = (int(EDITOR * 1e9), int(REWARD * 1e9))
    workers = [Weights(str(size), size, size * own) for size in sizes] * each
    assert off_device(workers, int((needed + 1) * 1e9)) == "host"
    assert off_device(workers, int((needed - 1) * 1e9)) == "disk"
