"""The whole of a run, with simulated models: what it does, what it leaves, and that nothing else is left."""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.place import Place
from tests.docs.markdown import ROOT, inline, read
from tests.end_to_end.conftest import warm_user_in
from tests.fake_nvml import write_pynvml
from tests.harness import User, encoded, pair, picture, small_benchmark, write_data


def test_every_pair_is_edited_and_scored_once_and_nothing_is_left_running(user: User, tmp_path: Path) -> None:
    result = user.run_config(user.simulated(small_benchmark(tmp_path / "data.json")))

    assert result.code == 0, result.output
    assert "Evaluation Complete" in result.output
    report = user.report()
    assert report["status"] == "COMPLETE"
    assert report["summary"]["total_pairs"] == 8
    assert list(report["category_statistics"]) == ["物理", "spatial"]
    assert [len(user.rows(event)) for event in ("planned", "edited", "scored", "failed", "stage")] == [8, 8, 8, 0, 2]
    assert user.left_over() == []


@pytest.mark.warm
def test_the_ledger_holds_what_the_contract_names(user: User, tmp_path: Path) -> None:
    user.run_config(user.simulated(small_benchmark(tmp_path / "data.json", pairs=2)))

    common = {
        "event",
        "category",
        "pair_id",
        "sample",
        "attempt",
        "worker",
        "device",
        "started",
        "finished",
        "identity",
    }
    edited, scored = user.rows("edited")[0], user.rows("scored")[0]
    assert set(edited) == common | {"round", "image", "sha256", "size", "seed"}
    assert set(scored) == common | {"batch", "score", "aspects", "dimensions", "response", "method", "pass", "usage"}
    assert edited["finished"] > edited["started"] > 1.6e9
    assert scored["method"] == "simulated"
    image = user.run_folder() / edited["image"]
    assert hashlib.sha256(image.read_bytes()).hexdigest() == edited["sha256"]
    stage = user.rows("stage")[0]
    assert {"wall_seconds", "rounds", "barrier_wait_seconds", "model_switches"} <= set(stage)


@pytest.mark.slow
def test_a_run_leaves_its_config_manifest_log_and_reports(user: User, tmp_path: Path) -> None:
    user.environment |= write_pynvml(tmp_path / "three-gpus", 3)
    user.environment.pop("CUDA_VISIBLE_DEVICES", None)
    data = small_benchmark(tmp_path / "data.json", pairs=1)
    user.run_config(user.simulated(data, editor={"device_ids": [0, 1]}, reward={"device": "auto"}))

    folder = user.run_folder()
    left = {"config.yaml", "manifest.json", "results.jsonl", "images", "thumbnails", "pairs.csv"}
    assert {path.name for path in folder.iterdir()} == left
    manifest = json.loads((folder / "manifest.json").read_text())
    # An editor that loaded last may have come too late for two pairs.
    assert {"reward-0"} < {worker["worker_id"] for worker in manifest["workers"]}
    assert all(worker["versions"]["python"] for worker in manifest["workers"])
    assert manifest["notes"], "a report made with simulated models says so"
    log = (user.output / "logs" / f"benchmark_{folder.name}.log").read_text()
    for line in ("Loaded 2 image pairs", "editor-0 on cuda:0", "rounds with barriers", "Round 1/", "Batch 1", "Report"):
        assert line in log
    assert "device: auto is cuda:2, the lowest visible GPU that no editor uses" in log
    assert "reward-0 on cuda:2: model loaded" in log
    markdown = (user.output / f"evaluation_report_{folder.name}.md").read_text()
    assert "simulated" in markdown


@pytest.mark.slow
@pytest.mark.warm
@pytest.mark.parametrize(("mode", "kind"), [("RGB", "PNG"), ("RGBA", "PNG"), ("RGB", "WEBP")])
def test_an_edit_is_its_source_inverted_upright_with_its_alpha_and_colours(
    user: User, tmp_path: Path, mode: str, kind: str
) -> None:
    source = picture((64, 40), mode)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = write_data(tmp_path / "data.json", {"c": [pair(1, encoded(source, kind, **options))]})

    assert user.run_config(user.simulated(data)).code == 0

    edit = Image.open(user.run_folder() / "images" / "c" / "1.png")
    assert (edit.mode, edit.size) == (mode, source.size)
    before, after = np.asarray(source), np.asarray(edit)
    assert np.array_equal(after[..., :3], 255 - before[..., :3])
    if mode == "RGBA":
        assert np.array_equal(after[..., 3], before[..., 3])


@pytest.mark.warm
def test_a_photo_that_lies_on_its_side_is_edited_upright(user: User, tmp_path: Path) -> None:
    upright = picture((64, 40))
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.rotate(90, expand=True).save(buffer, "PNG", exif=exif)
    import base64

    image = base64.b64encode(buffer.getvalue()).decode()
    user.run_config(user.simulated(write_data(tmp_path / "data.json", {"c": [pair(1, image)]})))

    edit = Image.open(user.run_folder() / "images" / "c" / "1.png")
    assert np.array_equal(np.asarray(edit), 255 - np.asarray(upright))


@pytest.mark.slow
@pytest.mark.warm
def test_edits_are_removed_once_scored_unless_they_are_to_be_kept(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    assert user.run_config(user.simulated(data, evaluation={"save_generated_images": False})).code == 0

    assert not list(user.run_folder().rglob("*.png"))
    assert len(user.rows("edited")) == 4


@pytest.mark.slow
@pytest.mark.warm
def test_edits_go_to_the_folder_that_the_config_names(user: User, tmp_path: Path) -> None:
    elsewhere = tmp_path / "edits"
    settings = {"save_generated_images": True, "image_output_dir": str(elsewhere)}
    user.run_config(user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), evaluation=settings))

    images = [Path(row["image"]) for row in user.rows("edited")]
    assert all(image.is_absolute() and image.is_file() for image in images)
    assert {image.parent.parent for image in images} == {elsewhere / user.run_folder().name}


@pytest.mark.slow
@pytest.mark.parametrize("editors", [1, 3])
def test_the_edits_do_not_depend_on_workers_or_barriers(
    user: User, warm_place: Place, tmp_path: Path, editors: int
) -> None:
    data = small_benchmark(tmp_path / "data.json")
    two = warm_user_in(tmp_path, warm_place)
    assert two.run_config(two.simulated(data)).code == 0
    expected = two.hashes()

    for synchronized in (True, False):
        devices = {"device_ids": ["cpu"] * editors, "enable_batch_sync": synchronized, "sigma": 1}
        assert user.run_config(user.simulated(data, editor=devices), "--keep-warm").code == 0
        assert user.hashes() == expected
        assert {row["round"] is None for row in user.rows("edited")} == {not synchronized}


@pytest.mark.slow
def test_models_that_share_devices_are_switched_once(user: User, tmp_path: Path) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json"),
        editor={"device_ids": [0, 1], "load_seconds": 0.1},  # long enough to be heard of
        reward={"device": "auto", "device_ids": [0, 1], "batch_size": 1, "latency_ms": 150, "load_seconds": 0.1},
    )
    result = user.run_config(config)

    assert result.code == 0, result.output
    assert "Model switch" in result.output
    assert user.report()["performance"]["model_switches"] == 1
    edited, scored = user.rows("edited"), user.rows("scored")
    assert max(row["finished"] for row in edited) <= min(row["started"] for row in scored)
    assert {row["worker"] for row in scored} == {"reward-0", "reward-1"}, "all rewards score"
    assert user.left_over() == []
    log = (user.output / "logs" / f"benchmark_{user.run_folder().name}.log").read_text(encoding="utf-8")
    for line in log_lines_for_users_of_the_old_system():
        assert re.search(line, log), line


def log_lines_for_users_of_the_old_system() -> list[str]:
    """Patterns of the log lines that the page shows: ``...`` and numbers may be anything, also one editor."""
    page = read(ROOT / "docs" / "coming-from-the-old-system.md")
    table = page.partition("The log:\n\n")[2].partition("\n\n")[0]
    lines = [line for row in table.splitlines() for line in inline(row.split("|")[2]) if not line.startswith("edit:")]
    assert len(lines) > 10
    escaped = [
        re.escape(line.replace("...", "\0").replace("GB", "\1")).replace("editors", "editors?") for line in lines
    ]
    return [re.sub(r"[\d\\.]*\d", r"[\\d.]+", line).replace("\0", ".*").replace("\1", "[GM]B") for line in escaped]


@pytest.mark.slow
@pytest.mark.warm
def test_several_samples_and_passes_are_all_done(user: User, tmp_path: Path) -> None:
    settings = {"samples_per_pair": 2, "reward_passes": 3, "save_generated_images": False}
    result = user.run_config(user.simulated(small_benchmark(tmp_path / "data.json", pairs=2), evaluation=settings))

    assert result.code == 0, result.output
    assert len(user.rows("edited")) == 8
    assert {row["seed"] for row in user.rows("edited")} == {0, 1}
    assert len(user.rows("scored")) == 24
    assert not list(user.run_folder().rglob("*.png"))


@pytest.mark.slow
def test_pairs_of_similar_cost_share_a_round_and_the_report_says_what_that_saved(user: User, tmp_path: Path) -> None:
    sides = [40, 400, 60, 380, 50, 390, 70, 410] * 2
    pairs = [pair(number, encoded(picture((side, side)))) for number, side in enumerate(sides)]
    data = write_data(tmp_path / "data.json", {"c": pairs})
    config = user.simulated(data, editor={"latency_ms": 5, "per_megapixel_ms": 600})
    result = user.run_config(config)

    assert result.code == 0, result.output
    rounds: dict[int, list[int]] = {}
    for row in user.rows("edited"):
        rounds.setdefault(row["round"], []).append(sides[int(row["pair_id"])] // 100)
    full = [sizes for sizes in rounds.values() if len(sizes) == 2]
    assert len(full) >= 6
    assert sum(abs(first - other) > 1 for first, other in full) <= 1, (
        "large ones with large ones, small ones with small"
    )
    performance = user.report()["performance"]
    assert performance["barrier_loss_in_file_order"] > 6 * 0.06, "each round would have had a large and a small one"
    assert [entry["pair_id"] for entry in user.report()["pairs"]] == [str(number) for number in range(16)]


@pytest.mark.slow
@pytest.mark.warm
def test_a_trace_shows_every_job_of_every_device_and_its_barriers(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"), editor={"latency_ms": 200})
    result = user.run_config(config, "--trace")
    assert result.code == 0, result.output
    events = json.loads((user.run_folder() / "trace.json").read_text(encoding="utf-8"))
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"editor-0 (cpu)", "editor-1 (cpu)", "reward-0 (cpu)", "scheduler: rounds"} <= set(names.values())
    spans = [event for event in events if event["ph"] == "X"]
    edits = {span["name"] for span in spans if names[span["tid"]].startswith("editor") and "/" in span["name"]}
    assert {f"{category}/{number}/0" for category in ("物理", "spatial") for number in range(4)} <= edits
    assert any(span["name"] == "barrier" for span in spans)
    codecs = {span["name"].split()[0] for span in spans if "codec thread" in names[span["tid"]]}
    assert codecs == {"decode", "encode"}
