"""Every class of diffusers that is tried, on tiny random weights: its edits beside those of a direct call."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from scripts.tiny_models.pipelines import CLASSES, build_pipeline
from tests.workers.models.editors.tiny_classes import (
    CopyingEditor,
    direct_edit,
    edit,
    loaded,
    request,
    shape_of,
    size_of,
    with_ftfy,
)
from tests.workers.models.editors.tiny_edits import picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a checkpoint of each class."""
    folder = tmp_path_factory.mktemp("pipelines")
    for name in CLASSES:
        build_pipeline(name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        with_ftfy(patch)
        yield folder


@pytest.mark.parametrize("name", CLASSES)
def test_an_edit_is_the_one_that_the_pipeline_makes_with_these_arguments(name: str, root: Path) -> None:
    steps: list[tuple[int, int]] = []
    editor = loaded(root / name)
    made = editor.edit(request(**size_of(name)), lambda *step: steps.append(step))
    assert (made.size, made.mode) == shape_of(name)
    source = picture().resize(made.size)
    assert np.abs(np.asarray(made.convert("RGB"), np.int16) - np.asarray(source, np.int16)).mean() > 5
    assert steps == [(1, 2), (2, 2)]
    assert made.tobytes() == direct_edit(name, root / name, editor).tobytes()


@pytest.mark.parametrize("name", CLASSES)
def test_an_edit_depends_on_its_seed_and_not_on_others_or_on_where_the_weights_were(name: str, root: Path) -> None:
    import torch

    editor = loaded(root / name, CopyingEditor)
    first = edit(editor, request(**size_of(name)))
    other = edit(editor, request(seed=43, **size_of(name)))
    assert other.tobytes() != first.tobytes()
    editor.place("host")
    assert editor.host_bytes() < editor.size_bytes() / 25, "all but computed buffers are pages of files"
    editor.place("device")
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    assert edit(editor, request(**size_of(name))).tobytes() == first.tobytes()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_one_two_and_three_processes_give_the_same_bytes(root: Path) -> None:
    """One process makes three edits with every class, in this order; two others make one of them each, alone."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.workers.models.editors.test_diffusers_classes import hashes_of_edits\n"
        "print(*hashes_of_edits(Path(sys.argv[1]), [int(sys.argv[2])]))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    others = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(root), seed], stdout=subprocess.PIPE, env=environment, text=True
        )
        for seed in ("2", "3")
    ]
    try:
        alone = hashes_of_edits(root, [1, 2, 3])
        beside = [process.communicate(timeout=240)[0].split() for process in others]
    finally:
        for process in others:
            with process:
                process.kill()
    assert len({*alone}) == len(alone) == 3 * len(CLASSES)
    assert beside == [alone[1::3], alone[2::3]]


def hashes_of_edits(root: Path, seeds: list[int]) -> list[str]:
    """Class after class, its edits with these seeds."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        with_ftfy(patch)
        for name in CLASSES:
            editor = loaded(root / name)
            edits = [edit(editor, request(seed=seed, **size_of(name))) for seed in seeds]
            found += [hashlib.sha256(made.tobytes()).hexdigest() for made in edits]
    return found
