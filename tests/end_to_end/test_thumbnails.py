"""A run leaves a small picture of each source and each edit, also where it keeps no edit and where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.harness import User, encoded, pair, picture, small_benchmark, write_data

pytestmark = pytest.mark.warm

NOT_KEPT: dict[str, Any] = {"evaluation": {"save_generated_images": False}}


def thumbnails(user: User) -> dict[str, Path]:
    folder = user.run_folder() / "thumbnails"
    files = {str(path.relative_to(folder)): path for path in folder.glob("**/*") if path.is_file()}
    for path in files.values():
        with Image.open(path) as image:
            image.load()
            assert (image.format, image.mode) == ("JPEG", "RGB")
    return files


def names(*folders: str, pairs: int, without: str = "") -> set[str]:
    both = [f"{category}/{number}.jpg" for category in ("物理", "spatial") for number in range(pairs)]
    return {f"{folder}/{name}" for folder in folders for name in both} - {without}


@pytest.mark.slow
def test_thumbnails_stay_when_edits_are_removed_and_a_failed_edit_has_its_source(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=3, size=(480, 600))
    editor = {"faults": {"oom": ["spatial/1"]}}
    config = user.simulated(data, editor=editor, **NOT_KEPT | {"evaluation": NOT_KEPT["evaluation"] | TWO_SAMPLES})
    assert user.run_config(config).code == 3

    files = thumbnails(user)
    first, other = "edit/spatial/1.jpg", "edit-sample-1/spatial/1.jpg"
    assert set(files) == names("source", "edit", "edit-sample-1", pairs=3) - {first, other}
    assert not list((user.run_folder() / "images").glob("**/*.png"))
    with Image.open(files["source/物理/0.jpg"]) as source, Image.open(files["edit/物理/0.jpg"]) as edit:
        assert source.size == edit.size == (307, 384)
        # The simulated editor gives back the inverted source.
        for a, b in zip(source.resize((8, 8)).tobytes(), edit.resize((8, 8)).tobytes(), strict=True):
            assert abs(a + b - 255) < 30


TWO_SAMPLES = {"samples_per_pair": 2}


@pytest.mark.slow
def test_a_pair_that_cannot_be_edited_has_a_thumbnail_of_its_source_if_that_is_an_image(
    user: User, tmp_path: Path
) -> None:
    image = encoded(picture((500, 400)))
    pairs = [pair("good", image), pair("no instruction", image, " "), pair("no image", "bm90aGluZw==")]
    data = write_data(tmp_path / "data.json", {"c": pairs})
    assert user.run_config(user.simulated(data, **NOT_KEPT)).code == 3
    assert set(thumbnails(user)) == {"source/c/good.jpg", "edit/c/good.jpg", "source/c/no instruction.jpg"}


@pytest.mark.slow
def test_missing_thumbnails_are_made_from_the_files_on_disk(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=2))
    assert user.run_config(config).code == 0
    everything = names("source", "edit", pairs=2)
    assert set(thumbnails(user)) == everything

    folder = user.run_folder()
    shutil.rmtree(folder / "thumbnails")
    assert user.check("report", folder).code == 0
    assert set(thumbnails(user)) == names("edit", pairs=2), "a run's directory has no sources"

    shutil.rmtree(folder / "thumbnails")
    assert user.run_config(config, "--resume", "latest").code == 0
    assert set(thumbnails(user)) == everything
