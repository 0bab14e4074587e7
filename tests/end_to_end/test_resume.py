"""A run that ended early is gone on with: what counts is kept, what does not is done again, and nothing is mixed."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.place import Place
from tests.end_to_end.conftest import warm_user_in
from tests.end_to_end.test_endings import finish
from tests.harness import Result, User, encoded, pair, picture, small_benchmark, write_data
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory: pytest.TempPathFactory, warm_place: Place) -> Path:
    """A user's folder with a run of eight pairs that is over, and a copy of it beside it."""
    folder = tmp_path_factory.mktemp("finished") / "folder"
    folder.mkdir()
    user = warm_user_in(folder, warm_place)
    result = user.run_config(user.simulated(small_benchmark(folder / "data.json")))
    assert result.code == 0, result.output
    shutil.copytree(folder, folder.with_name("copy"))
    return folder


@pytest.fixture
def finished(finished_once: Path, warm_place: Place) -> tuple[User, Path]:
    """A user with a run of eight pairs that is over, as if it had just ended, and its config."""
    shutil.rmtree(finished_once)
    shutil.copytree(finished_once.with_name("copy"), finished_once)
    user = warm_user_in(finished_once, warm_place)
    return user, finished_once / "bench.yaml"


def resume(user: User, config: Path, *arguments: str) -> Result:
    return user.run_config(config, "--resume", "latest", *arguments)


def scores(user: User) -> dict[str, float]:
    return {f"{pair['category']}/{pair['pair_id']}": pair["score"] for pair in user.report()["pairs"]}


def ledger(user: User) -> Path:
    return user.run_folder() / "results.jsonl"


def keep_lines(user: User, condition: Any) -> None:
    """Write the ledger anew with those rows alone that meet the condition."""
    rows = [row for row in user.rows() if condition(row)]
    ledger(user).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def changed(config: Path, section: str, **values: Any) -> Path:
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    target = content[section]["params"] if "params" in content[section] else content[section]
    target.update(values)
    config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return config


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_ends_like_an_undisturbed_one(
    user: User, warm_place: Place, tmp_path: Path, how: signal.Signals
) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=15)
    assert warm_user_in(tmp_path, warm_place).run_config(user.simulated(data)).code == 0
    undisturbed = scores(user)
    config = user.simulated(data, editor={"latency_ms": 60})
    process = user.start("run", "--config", config)
    first = user.output / "runs"
    wait_until(lambda: len(list(first.iterdir())) == 2 and user.count("edited") >= 5)
    process.send_signal(how)
    output = finish(process)
    if how == signal.SIGINT:
        assert f"--resume {user.run_folder().name}" in output, "it says how to go on"

    result = resume(user, config)
    assert result.code == 0, result.output
    assert scores(user) == undisturbed
    assert len(list(first.iterdir())) == 2, "the run keeps its directory"
    counts = Counter((row["event"], row["category"], row["pair_id"]) for row in user.rows() if row["event"] != "stage")
    assert set(counts.values()) == {1}, "nothing was done twice"
    assert len(counts) == 3 * 30
    assert user.report()["performance"]["edit"]["device_seconds"] == pytest.approx(30 * 0.06, rel=0.5)
    assert user.left_over() == []


def test_complete_results_are_reused_and_the_models_do_nothing(finished: tuple[User, Path]) -> None:
    user, config = finished
    before = user.rows()
    result = resume(user, config)
    assert result.code == 0, result.output
    assert "Reused: 8 of 8 edits, 8 of 8 scores" in result.output
    assert user.rows() == before


def test_a_torn_last_line_is_cut_off_and_its_unit_is_repeated(finished: tuple[User, Path]) -> None:
    user, config = finished
    before = scores(user)
    keep_lines(user, lambda row: row["event"] != "stage")
    content = ledger(user).read_bytes()
    ledger(user).write_bytes(content[:-40])
    result = resume(user, config)
    assert result.code == 0, result.output
    assert "torn" in result.output
    assert scores(user) == before
    assert len(user.rows("scored")) == 8
    assert all(line.endswith("}") for line in ledger(user).read_text(encoding="utf-8").splitlines())


def test_a_damaged_line_is_skipped_and_its_unit_is_repeated(finished: tuple[User, Path]) -> None:
    user, config = finished
    before = scores(user)
    lines = ledger(user).read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"edited"' in line)
    lines[at] = b"\0" * 50 + b"\n"
    ledger(user).write_bytes(b"".join(lines))
    result = resume(user, config)
    assert result.code == 0, result.output
    assert f"line {at + 1}" in result.output
    assert "To edit: 1 (1 not done before)" in result.output
    assert scores(user) == before


@pytest.mark.parametrize("damage", ["missing", "wrong"])
@pytest.mark.parametrize("scored", [True, False])
def test_a_missing_or_changed_image_is_made_again_if_it_is_needed(
    finished: tuple[User, Path], damage: str, scored: bool
) -> None:
    user, config = finished
    before = scores(user)
    images = user.run_folder() / "images" / "spatial"
    if damage == "missing":
        (images / "1.png").unlink()
    else:
        (images / "1.png").write_bytes((images / "2.png").read_bytes())
    if not scored:
        keep_lines(user, lambda row: row["event"] != "scored" or (row["category"], row["pair_id"]) != ("spatial", "1"))
    result = resume(user, config)
    assert result.code == 0, result.output
    again = damage == "wrong" or not scored
    assert ("To edit: 1" in result.output) == again, result.output
    assert scores(user) == before
    assert len(user.rows("scored")) == 8, "a score belongs to an image's bytes, and they came out the same"
    if again:
        assert (images / "1.png").read_bytes() != (images / "2.png").read_bytes()


def test_another_step_count_repeats_everything_and_an_interruption_mixes_nothing(
    finished: tuple[User, Path],
) -> None:
    user, config = finished
    changed(config, "diffusion_model", num_inference_steps=7, latency_ms=600)
    process = user.start_run(config, "--resume", "latest")
    wait_until(lambda: user.count("edited") >= 10)
    process.send_signal(signal.SIGINT)
    output = finish(process)
    assert process.returncode == 130
    assert "changed: editor.parameters.num_inference_steps" in output
    assert "To edit: 8 (8 made with other settings or weights)" in output
    report = user.report()
    assert report["overall"]["num_samples"] < 8, "what was not made with these settings is missing"
    assert report["overall"]["num_failed"] == 0

    result = resume(user, changed(config, "diffusion_model", latency_ms=5))
    assert result.code == 0, result.output
    rows = user.rows("edited")
    assert len(rows) == 16
    assert len({row["identity"] for row in rows}) == 16
    assert user.report()["overall"]["num_samples"] == 8


def test_other_prompts_score_again_and_edit_nothing(finished: tuple[User, Path]) -> None:
    user, config = finished
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["prompts"] = {"spatial": {"system_prompt": "", "user_prompt_template": "How good is {edit_instruction}?"}}
    config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    result = resume(user, config)
    assert result.code == 0, result.output
    assert "Reused: 8 of 8 edits, 4 of 8 scores" in result.output
    assert len(user.rows("scored")) == 12
    assert len(user.rows("edited")) == 8


def test_the_number_and_speed_of_workers_change_no_identity(finished: tuple[User, Path]) -> None:
    user, config = finished
    keep_lines(user, lambda row: row["event"] != "scored" or row["category"] != "spatial")
    changed(config, "diffusion_model", device_ids=["cpu"], latency_ms=1, faults={"error": 0.0})
    changed(config, "reward_model", batch_size=1)
    result = user.run("run", "--config", config, "--resume", "latest")  # with a pool of its own
    assert result.code == 0, result.output
    assert "Reused: 8 of 8 edits, 4 of 8 scores" in result.output


def test_pairs_that_were_changed_added_or_removed(finished: tuple[User, Path]) -> None:
    user, config = finished
    data = config.with_name("data.json")
    content = json.loads(data.read_text(encoding="utf-8"))
    content["物理"][0]["edit_instruction"] = "something else"
    content["物理"][1]["original_image_b64"] = encoded(picture((77, 33)))
    del content["物理"][2]
    content["spatial"].append(pair("new", encoded(picture((50, 51)))))
    content["spatial"][0]["original_image_b64"] = "§"
    write_data(data, content)
    result = resume(user, config)
    assert result.code == 3, result.output
    for reason in ("1 the instruction is another", "1 the source image is another", "1 not done before"):
        assert reason in result.output
    assert "Left out: 1 pair of" in result.output
    report = user.report()
    status = {f"{entry['category']}/{entry['pair_id']}": entry["status"] for entry in report["pairs"]}
    assert "物理/2" not in status
    assert status["spatial/new"] == "scored"
    assert status["spatial/0"] == "failed"
    assert report["summary"]["total_pairs"] == 8
    assert report["failures"][0]["kind"] == "bad_base64"


@pytest.mark.warm
def test_failed_pairs_are_tried_again(user: User, tmp_path: Path) -> None:
    config = user.simulated(
        small_benchmark(tmp_path / "data.json"),
        editor={"faults": {"error": ["物理/1"]}},
        reward={"faults": {"error": ["spatial/2"]}},
    )
    assert user.run_config(config).code == 3
    assert all(row["identity"] for row in user.rows("failed"))
    changed(config, "diffusion_model", faults={})
    changed(config, "reward_model", faults={})
    result = resume(user, config)
    assert result.code == 0, result.output
    assert "To edit: 1 (1 failed before)" in result.output
    assert user.report()["failures"] == []


def test_more_samples_and_passes_are_added_to_existing_results(finished: tuple[User, Path]) -> None:
    user, config = finished
    changed(config, "evaluation", samples_per_pair=2, reward_passes=2)
    result = resume(user, config)
    assert result.code == 0, result.output
    assert "Reused: 8 of 16 edits, 8 of 32 scores" in result.output
    assert len(user.rows("scored")) == 32


@pytest.mark.warm
def test_images_that_are_not_kept_are_not_needed_once_scored(user: User, tmp_path: Path) -> None:
    sections = {"evaluation": {"save_generated_images": False}}
    config = user.simulated(small_benchmark(tmp_path / "data.json"), **sections)
    assert user.run_config(config).code == 0
    images = user.run_folder() / "images"
    left_behind = images / "spatial" / "1.png"
    left_behind.write_bytes(b"the run was killed before it could remove this")
    result = resume(user, config)
    assert result.code == 0, result.output
    assert "Reused: 8 of 8 edits, 8 of 8 scores" in result.output
    assert not list(images.rglob("*.png"))


@pytest.mark.warm
def test_a_second_process_on_one_run_is_refused(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"), editor={"latency_ms": 300})
    process = user.start_run(config)
    wait_until(lambda: user.count("edited") >= 1)
    process.send_signal(signal.SIGSTOP)  # it must not end before the second process has begun
    results = [resume(user, config, *options) for options in ((), ("--dry-run",))]
    process.send_signal(signal.SIGCONT)
    for result in results:
        assert result.code == 2, result.output
        assert "in use by another process" in result.output
    finish(process)
    assert process.returncode == 0


@pytest.mark.parametrize("run", ["latest", "20200101_000000", "../../etc", "/"])
def test_a_missing_run_is_a_usage_error(user: User, tmp_path: Path, run: str) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    for arguments in (["--resume", run], ["--resume", run, "--dry-run"]):
        result = user.check_config(config, *arguments)
        assert result.code == 2, result.output
        assert "there is no run" in result.output


def test_in_swap_mode_editors_that_have_nothing_to_do_stay_off_the_device(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"), scheduler={"residency": "swap"})
    assert user.run_config(config).code == 0
    before = scores(user)
    keep_lines(user, lambda row: row["event"] not in ("scored", "stage"))
    result = resume(user, config)
    assert result.code == 0, result.output
    assert "editor-0: model moved to device" not in result.output
    assert scores(user) == before
    assert user.report()["performance"]["model_switches"] == 0


@pytest.mark.warm
def test_a_run_with_too_many_failures_can_be_resumed(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=20), editor={"faults": {"error": 1.0}})
    result = user.run_config(config, "--max-failures", "0.05")
    assert result.code == 1, result.output
    assert "more than the limit of 2" in result.output
    assert f"--max-failures 0.05 --resume {user.run_folder().name}" in result.output
    assert resume(user, changed(config, "diffusion_model", faults={})).code == 0
    assert user.report()["status"] == "COMPLETE"
