"""``warmbench score``: any editor's images are judged as a run's own would be, and nothing happens to them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.end_to_end.test_endings import finish
from tests.end_to_end.test_stages import scores, statuses, workers_of
from tests.harness import User, picture, small_benchmark
from tests.waiting import wait_until


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows_of(user: User, event: str) -> list[dict[str, object]]:
    """The rows of a run that may only be beginning."""
    try:
        return user.rows(event)
    except (FileNotFoundError, ValueError):
        return []


def own_run(user: User, data: Path, images: Path) -> tuple[Path, dict[str, float]]:
    """A run of six pairs, whose images are then somewhere else; returns a config without an editor, and its scores."""
    config = user.simulated(small_benchmark(data, pairs=3))
    assert user.run_config(config).code == 0
    shutil.move(user.run_folder() / "images", images)
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    del content["diffusion_model"]
    content["evaluation"]["save_generated_images"] = False
    return user.config("judge", **content), scores(user)


@pytest.mark.slow
def test_a_folder_of_images_gets_the_scores_that_the_run_gave_and_stays_untouched(user: User, tmp_path: Path) -> None:
    images = tmp_path / "somewhere"
    config, before = own_run(user, tmp_path / "data.json", images)
    untouched = contents(images)
    result = user.run("score", "--images", "somewhere", "--config", config)
    assert result.code == 0, result.output
    assert workers_of(result.output) == {"reward-0"}, "no editor was started"
    assert scores(user) == before
    assert contents(images) == untouched
    report = user.report()
    assert (report["status"], report["stages"]) == ("COMPLETE", ["score"])
    assert report["provenance"]["editor"] is None
    assert report["provenance"]["edits"] == {"made": "elsewhere", "from": str(images), "images": 6}
    assert any("made elsewhere" in note for note in report["notes"])
    assert {row["image"] for row in user.rows("edited")} == {str(path) for path in images.rglob("*.png")}
    assert len(list((user.run_folder() / "thumbnails").rglob("*.jpg"))) == 12
    assert not (user.run_folder() / "images").exists()
    assert user.left_over() == []


@pytest.mark.warm
@pytest.mark.slow
def test_a_resumed_run_scores_only_changed_images_again(user: User, tmp_path: Path) -> None:
    images = tmp_path / "somewhere"
    config, before = own_run(user, tmp_path / "data.json", images)
    assert user.score(images, config).code == 0
    again = user.score(images, config, "--resume", "latest")
    assert again.code == 0, again.output
    assert "Reused: 6 of 6 scores" in again.output
    assert len(user.rows("scored")) == 6

    Image.open(images / "spatial" / "1.png").rotate(90).save(images / "spatial" / "1.png")
    changed = user.score(images, config, "--resume", "latest")
    assert "Reused: 5 of 6 scores" in changed.output
    assert {key for key, score in scores(user).items() if score != before[key]} == {"spatial/1"}
    assert user.check("status").output.count("score: 6/6") == 1
    compared = user.check("compare", *sorted(path.name for path in (user.output / "runs").iterdir()))
    assert compared.code == 0, compared.output
    assert "changed: edits null -> " in compared.output


@pytest.mark.slow
@pytest.mark.warm
def test_a_list_of_images_reports_every_kind_of_bad_entry(user: User, tmp_path: Path) -> None:
    images = tmp_path / "somewhere"
    config, before = own_run(user, tmp_path / "data.json", images)
    (images / "物理" / "1.png").write_bytes(b"no image")
    entries = [
        {"id": "物理/0", "image_path": "物理/0.png"},
        {"id": "物理/1", "image_path": "物理/1.png"},
        {"id": "物理/2", "image_path": "物理/gone.png"},
        {"id": "spatial/0", "image_path": str(images / "spatial" / "0.png")},
        {"id": "spatial/0", "image_path": "spatial/2.png"},
        {"id": "spatial/1", "image_path": "../somewhere/spatial/1.png"},
        {"id": "spatial/9", "image_path": "spatial/1.png"},
    ]
    listed = images / "edits.jsonl"
    listed.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    untouched = contents(images)

    for arguments in (("--dry-run",), ()):
        result = user.score(listed, config, *arguments)
        assert result.code == 3, result.output
        assert "line 7, spatial/9" in result.output, "an image that nobody asked for is told"
        assert "line 5, spatial/0 (beside line 4, spatial/0)" in result.output
        assert "no_image" in result.output
        assert "bad_image" in result.output
    assert statuses(user) == ["scored", "failed", "failed", "scored", "scored", "failed"]
    kinds = {f"{failure['category']}/{failure['pair_id']}": failure["kind"] for failure in user.report()["failures"]}
    assert kinds == {"物理/1": "bad_image", "物理/2": "no_image", "spatial/2": "no_image"}
    judged = {key: score for key, score in scores(user).items() if score is not None}
    assert judged == {key: before[key] for key in ("物理/0", "spatial/0", "spatial/1")}
    assert contents(images) == untouched


@pytest.mark.warm
@pytest.mark.slow
def test_an_image_that_was_replaced_during_the_run_is_not_scored(user: User, tmp_path: Path) -> None:
    images = tmp_path / "somewhere"
    own_run(user, tmp_path / "data.json", images)
    config = user.simulated(tmp_path / "data.json", reward={"latency_ms": 400, "batch_size": 1})
    process = user.start("score", "--images", images, "--config", config, *user.pool_options)
    wait_until(lambda: len(list((user.output / "runs").iterdir())) == 2 and len(rows_of(user, "scored")) == 1)
    last = images / "spatial" / "2.png"
    last.write_bytes((images / "spatial" / "0.png").read_bytes())
    assert "no longer the image that was recorded" in finish(process)
    assert process.returncode == 3
    assert statuses(user) == ["scored"] * 5 + ["failed"]
    assert [failure["kind"] for failure in user.report()["failures"]] == ["bad_image"]


@pytest.mark.slow
@pytest.mark.warm
def test_resuming_a_run_of_another_kind_and_a_folder_without_images_are_usage_errors(
    user: User, tmp_path: Path
) -> None:
    images = tmp_path / "somewhere"
    config, _ = own_run(user, tmp_path / "data.json", images)
    ours = user.score(images, config, "--resume", "latest")
    assert ours.code == 2
    assert "makes its edits itself" in ours.output
    nothing = user.score(tmp_path / "nowhere", config)
    assert nothing.code == 2
    assert "--images: there is no folder and no file" in nothing.output
    (images / "物理").rename(images / "physics")
    (images / "spatial").rename(images / "space")
    other = user.score(images, config)
    assert other.code == 2
    assert "none of its 6 images belongs to a pair" in other.output
    assert len(list((user.output / "runs").iterdir())) == 1


@pytest.mark.slow
@pytest.mark.warm
def test_an_image_that_was_broken_before_the_run_does_not_count_as_a_failure_of_the_run(
    user: User, tmp_path: Path
) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=2))
    images = tmp_path / "somewhere"
    for category in ("物理", "spatial"):
        (images / category).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (200, 200), (90, 0, number)).save(images / category / f"{number}.jpg")
    broken = images / "spatial" / "1.jpg"
    broken.write_bytes(broken.read_bytes()[:-200])  # its header is whole
    result = user.score(images, config, "--max-failures", "0")
    assert result.code == 3, result.output
    assert statuses(user) == ["scored"] * 3 + ["failed"]
    assert [failure["kind"] for failure in user.report()["failures"]] == ["bad_image"]


@pytest.mark.slow
@pytest.mark.warm
def test_an_exported_run_is_scored_again_in_the_benchmarks_own_layout(user: User, tmp_path: Path) -> None:
    lines = []
    for number in range(3):
        picture((40 + number, 32)).save(tmp_path / f"{number}.png")
        named = {
            "key": f"k{number}",
            "task": "Scene Editing",
            "subtask": "Style Transfer",
            "image_path": f"{number}.png",
        }
        lines.append(json.dumps({**named, "en": "do it", "cn": "做"}) + "\n")
    data = tmp_path / "test_data.jsonl"
    data.write_text("".join(lines), encoding="utf-8")
    evaluation = {"save_generated_images": True, "samples_per_pair": 2}
    config = user.simulated(data, evaluation=evaluation)
    assert user.run_config(config).code == 0
    before, made = scores(user), {(row["pair_id"], row["sample"]): row["sha256"] for row in user.rows("edited")}

    exported = user.check("export", "latest", "--layout", "unicbench", "--to", "model")
    assert exported.code == 0, exported.output
    assert "6 edits" in exported.output
    assert (tmp_path / "model-sample-1" / "Style_Transfer" / "en" / "k0.png").is_file()
    result = user.score("model", config)
    assert result.code == 0, result.output
    assert "(layout unicbench)" in result.output
    assert {(row["pair_id"], row["sample"]): row["sha256"] for row in user.rows("edited")} == made
    assert scores(user) == before
