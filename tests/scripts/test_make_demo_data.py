from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from scheduler.benchmark import Benchmark, Pair, load_benchmark
from scripts.make_demo_data import SCENES, main, write_if_changed


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "folder" / "demo.json"
    assert main([str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def demo(path: Path) -> Benchmark:
    return load_benchmark(path, thorough=True)


def image_of(pair: Pair) -> Image.Image:
    return Image.open(io.BytesIO(pair.source.read()))


def test_five_categories_have_three_good_pairs_each(demo: Benchmark) -> None:
    assert demo.categories == ("物理", "环境", "社会", "因果", "指代")
    assert [sum(pair.category == name for pair in demo.pairs) for name in demo.categories] == [3] * 5
    assert (demo.bad, demo.warnings) == ((), ())
    assert all(pair.instruction.endswith("。") and pair.description.endswith("。") for pair in demo.pairs)


def test_the_images_differ_in_shape_and_encoding(demo: Benchmark) -> None:
    images = [image_of(pair) for pair in demo.pairs]
    assert {image.format for image in images} == {"PNG", "JPEG"}
    assert {image.mode for image in images} == {"RGB", "RGBA", "P"}
    ratios = {round(image.width / image.height, 2) for image in images}
    assert ratios >= {1.0, 1.5, 0.67, 1.78, 2.5}
    assert all(200 <= max(image.size) <= 400 for image in images)
    assert len({pair.sha256 for pair in demo.pairs}) == 15


@pytest.mark.slow
def test_every_scene_can_be_drawn_as_its_instruction_asks_for() -> None:
    for scene in (scene for of_category in SCENES.values() for scene in of_category):
        source, edit = scene.draw().opaque(), scene.draw(edited=True).opaque()
        assert edit.size == source.size
        changed = ImageChops.difference(source, edit).convert("L").point(lambda value: 255 * (value > 16))
        assert changed.getbbox() is not None, scene.pair_id


def test_one_image_is_really_transparent(demo: Benchmark) -> None:
    (clear,) = [image for image in map(image_of, demo.pairs) if image.mode == "RGBA"]
    alpha = clear.getchannel("A")
    assert alpha.getextrema() == (0, 255)
    assert len(set(alpha.tobytes())) > 10


@pytest.mark.slow
def test_drawing_again_gives_the_same_bytes_and_leaves_the_file_alone(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = path.stat()
    main([str(path)])
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "unchanged, 15 pairs in 5 categories" in capsys.readouterr().out


def test_new_content_replaces_the_file_atomically(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    assert write_if_changed(target, b"one")
    assert not write_if_changed(target, b"one")
    assert write_if_changed(target, b"two")
    assert target.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_if_changed(tmp_path / "x.json", b"one")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_the_file_is_readable_json_in_the_documented_shape(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    fields = {"pair_id", "original_image_b64", "original_description", "edit_instruction"}
    assert all(pair.keys() == fields for pairs in content.values() for pair in pairs)
