"""Every class of diffusers that is tried, on tiny random weights: its edits beside those of a direct call."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from scripts.tiny_models.pipelines import CLASSES, build_pipeline
from tests.workers.models.editors.small_sources import with_small_sources
from tests.workers.models.editors.tiny_classes import (
    SEED,
    CopyingEditor,
    direct_edit,
    edit,
    loaded,
    request,
    shape_of,
    size_of,
    with_stand_ins,
)
from tests.workers.models.editors.tiny_edits import picture
from workers.models.editors.diffusers_editor import DiffusersEditor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_sources")]

SEEDS = (SEED, 43)


class Edits(NamedTuple):
    """What a class made, and the steps that it reported."""

    editor: DiffusersEditor
    images: list[Image.Image]
    steps: list[tuple[int, int]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a checkpoint of each class."""
    folder = tmp_path_factory.mktemp("pipelines")
    for name in CLASSES:
        build_pipeline(name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        with_stand_ins(patch)
        yield folder


@pytest.fixture(scope="module")
def edits(root: Path) -> Callable[[str], Edits]:
    """Of a class: an editor and its edits with two seeds, in this order."""

    @cache
    def made(name: str) -> Edits:
        steps: list[tuple[int, int]] = []
        editor = loaded(root / name)
        images = [editor.edit(request(seed=seed, **size_of(name)), lambda *step: steps.append(step)) for seed in SEEDS]
        return Edits(editor, images, steps)

    return made


@pytest.mark.parametrize("name", CLASSES)
def test_an_edit_is_the_one_that_the_pipeline_makes_with_these_arguments(
    name: str, root: Path, edits: Callable[[str], Edits]
) -> None:
    editor, (made, other), steps = edits(name)
    assert (made.size, made.mode) == shape_of(name)
    source = picture().resize(made.size)
    assert np.abs(np.asarray(made.convert("RGB"), np.int16) - np.asarray(source, np.int16)).mean() > 5
    assert made.tobytes() != other.tobytes(), "it depends on its seed"
    assert steps == [(1, 2), (2, 2)] * 2
    assert made.tobytes() == direct_edit(name, root / name, editor).tobytes()


@pytest.mark.parametrize("name", CLASSES)
def test_an_edit_does_not_depend_on_where_the_weights_were_and_leaves_the_random_numbers(name: str, root: Path) -> None:
    import torch

    editor = loaded(root / name, CopyingEditor)
    first = edit(editor, request(**size_of(name)))
    editor.place("host")
    assert editor.host_bytes() < editor.size_bytes() / 25, "all but computed buffers are pages of files"
    editor.place("device")
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    assert edit(editor, request(**size_of(name))).tobytes() == first.tobytes()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_edits_in_another_order_in_another_process_are_the_same_bytes(
    root: Path, edits: Callable[[str], Edits]
) -> None:
    """So it makes no difference how many workers share them: a worker is a process, and has nothing else."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.workers.models.editors.test_diffusers_classes import print_hashes_of_edits\n"
        "print_hashes_of_edits(Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", code, str(root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as other:
        ours = [f"{name} {' '.join(map(hash_of, edits(name).images))}" for name in CLASSES]
        theirs, _ = other.communicate()
    assert theirs.splitlines() == ours[::-1]
    assert len({digest for line in ours for digest in line.split()[1:]}) == len(SEEDS) * len(CLASSES)


def print_hashes_of_edits(root: Path) -> None:
    """Class after class and seed after seed, the last first: a line with the hashes in the order of the seeds."""
    with pytest.MonkeyPatch.context() as patch:
        gc.disable()  # while it imports, which makes no garbage
        with_stand_ins(patch)
        with_small_sources(patch)
        gc.freeze()  # what was imported: loading collects garbage
        gc.enable()
        for name in CLASSES[::-1]:
            editor = loaded(root / name)
            hashes = [hash_of(edit(editor, request(seed=seed, **size_of(name)))) for seed in SEEDS[::-1]]
            print(name, *hashes[::-1])


def hash_of(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()
