"""The full-size measurements: models have the published sizes, and tiny models are measured the same way on a CPU."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from scripts.full_size import kontext
from scripts.full_size.__main__ import _folders, _in_order, main
from scripts.full_size.architectures import architecture
from scripts.full_size.budget import EditTimes, TooLittleSpaceError, choose_folders, fitting_pairs
from scripts.full_size.build import build_kontext, build_reward, check_space, meta_shapes, reward_weights
from scripts.full_size.gpu import gpu_name, watched
from scripts.full_size.jobs import JobError, OutOfTimeError, run_job
from scripts.full_size.product import edits_of
from scripts.full_size.results import latest, markdown_table, read_records, short, status_of
from scripts.full_size.suite import GROUPS, SuiteOptions, needed_models, ways_job
from scripts.full_size.ways import measure_ways, ways
from scripts.full_size.weights import draw, fan_in, plan_shards, total_bytes

TINY = architecture("tiny", None)
MEASURED = ("build-editor", "edit", "build-reward", "score", "context", "spread")
CPU = {"size": "tiny", "layers": None, "gpu": "cpu"}


def test_a_shard_is_closed_before_it_is_too_large() -> None:
    shapes = {"a": (10,), "b": (30, 2), "c": (5,), "d": (5,)}
    assert plan_shards(shapes, 100) == [["a"], ["b"], ["c", "d"]]
    assert plan_shards(shapes, 1000) == [["a", "b", "c", "d"]]


def test_the_scale_of_experts_depends_on_their_own_inputs() -> None:
    assert fan_in("layers.0.mlp.experts.gate_up_proj", (128, 2048, 1536)) == 2048
    assert fan_in("layers.0.self_attn.q_proj.weight", (4096, 2048)) == 2048
    assert fan_in("encoder.conv_in.weight", (96, 3, 3, 3, 3)) == 81


@pytest.mark.slow
def test_a_weight_depends_only_on_its_name_and_the_seed() -> None:
    first = draw("q.weight", (64, 64), device="cpu", seed=0)
    assert first.equal(draw("q.weight", (64, 64), device="cpu", seed=0))
    assert not first.equal(draw("q.weight", (64, 64), device="cpu", seed=1))
    assert not first.equal(draw("k.weight", (64, 64), device="cpu", seed=0))
    assert first.float().std().item() == pytest.approx(1 / 8, rel=0.1)
    assert draw("q.bias", (4,), device="cpu", seed=0).tolist() == [0.0] * 4
    assert draw("norm.weight", (4,), device="cpu", seed=0).tolist() == [1.0] * 4


@pytest.mark.slow
def test_the_full_architectures_have_as_many_parameters_as_the_published_checkpoints() -> None:
    full = architecture("full", None)
    shapes = meta_shapes("QwenImageTransformer2DModel", full.transformer)
    assert total_bytes(shapes) == 2 * 20_430_401_088
    assert total_bytes(meta_shapes("Qwen2_5_VLForConditionalGeneration", full.text_encoder)) == 2 * 8_292_166_656
    assert total_bytes(reward_weights(full.reward)) == 2 * 31_070_754_032
    of_kontext = {name: meta_shapes(kontext.COMPONENTS[name][1], config) for name, config in full.kontext.items()}
    assert {name: total_bytes(weights) // 2 for name, weights in of_kontext.items()} == {
        "transformer": 11_901_408_320,
        "text_encoder": 123_060_480,
        "text_encoder_2": 4_762_310_656,
        "vae": 83_819_683,
    }
    cut = architecture("full", 2)
    assert (
        max(
            int(name.split(".")[1])
            for name in meta_shapes("QwenImageTransformer2DModel", cut.transformer)
            if name.startswith("transformer_blocks.")
        )
        == 1
    )


def test_too_little_disk_space_is_reported_with_both_numbers(tmp_path: Path) -> None:
    check_space(tmp_path, 1)
    with pytest.raises(
        TooLittleSpaceError, match=r"needs 1000000\.0 GB more, and there are \d+\.\d GB free: .*--layers"
    ):
        check_space(tmp_path, 10**15)


@pytest.mark.slow
def test_a_build_that_ran_out_of_time_continues_where_it_stopped(tmp_path: Path) -> None:
    calls = 0

    def twice() -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OutOfTimeError

    with pytest.raises(OutOfTimeError):
        build_reward(tmp_path, TINY, "cpu", twice)
    assert not (tmp_path / "config.json").exists()
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert len(written) == 2
    build_reward(tmp_path, TINY, "cpu", lambda: None)
    whole = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert len(whole) > 2
    assert written.items() <= whole.items()
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == whole.keys()


def edited(started: float, finished: float, sample: int = 0) -> Mapping[str, Any]:
    return {"started": started, "finished": finished, "sample": sample}


def test_the_first_edit_of_a_worker_does_not_count() -> None:
    edits = edits_of([edited(20.5, 30.5), edited(10.0, 20.0), edited(30.6, 42.6), edited(0.0, 9.0)])
    assert edits.first == 9.0
    assert edits.seconds == pytest.approx(10.0)
    assert edits.gaps == pytest.approx([1.0, 0.5, 0.1])
    assert edits_of([edited(0.0, 9.0)]).seconds == 9.0


def test_of_several_samples_the_later_ones_count() -> None:
    edits = edits_of([edited(0, 9), edited(9, 18), edited(18, 24, 1), edited(24, 30, 1)])
    assert edits.seconds == 6


def test_the_table_shows_figures_failures_and_what_was_not_reached() -> None:
    records: list[dict[str, Any]] = [
        {"measure": "edit", "status": "begun", "steps": 50},
        {"measure": "edit", "status": "figure", "steps": 50, "what": "old", "figure": "1 s"},
        {"measure": "edit", "status": "done", "steps": 50},
        {"measure": "edit", "status": "begun", "steps": 50},
        {"measure": "edit", "status": "figure", "steps": 50, "what": "an edit", "figure": "2 s"},
        {"measure": "edit", "status": "done", "steps": 50},
        {"measure": "edit", "status": "begun", "steps": 10},
        {"measure": "score", "status": "begun"},
        {"measure": "score", "status": "figure", "what": "batches of 16", "error": "ModelError: out of | memory"},
        {"measure": "score", "status": "failed", "message": "JobError: it\n  was killed\n"},
    ]
    results = {
        "edit": latest(records, "edit", {"steps": 50}),
        "score": latest(records, "score", {}),
        "switch": latest(records, "switch", {}),
    }
    assert [status_of(rows) for rows in results.values()] == ["done", "failed", None]
    assert markdown_table(results)[2:] == [
        "| an edit | 2 s |",
        "| batches of 16 | failed: ModelError: out of \\| memory |",
        "| score | failed: JobError: it; was killed |",
        "| switch | not reached |",
    ]


def test_figures_of_a_measurement_that_was_cut_off_stay_until_there_are_newer_ones() -> None:
    records: list[dict[str, Any]] = [
        {"measure": "score", "status": "begun"},
        {"measure": "score", "status": "figure", "what": "batches of 1", "figure": "1"},
        {"measure": "score", "status": "figure", "what": "batches of 2", "figure": "2"},
        {"measure": "score", "status": "figure", "what": "batches of 4", "error": "out of memory"},
        {"measure": "score", "status": "not reached", "message": "no time"},
        {"measure": "score", "status": "begun"},
        {"measure": "score", "status": "figure", "what": "batches of 2", "figure": "3"},
    ]
    assert markdown_table({"score": latest(records, "score", {})})[2:] == [
        "| batches of 1 | 1 |",
        "| batches of 2 | 3 |",
        "| score | not reached |",
    ]


def test_a_run_has_as_many_pairs_as_fit_into_the_time() -> None:
    times = EditTimes(start=40, first=20, each=10)
    assert fitting_pairs(3, 1, 200, None, 0) == 3
    assert fitting_pairs(3, 1, 200, times, 0) == 3
    assert fitting_pairs(3, 1, 1.2 * 75, times, 0) == 2
    assert fitting_pairs(3, 2, 1.2 * 75, times, 0) == 1
    with pytest.raises(OutOfTimeError, match="96 s left, about 108 s needed"):
        fitting_pairs(3, 1, 96, times, 20)


def test_each_model_goes_into_a_folder_that_has_space_for_it() -> None:
    disk, memory = Path("/disk"), Path("/memory")
    sizes = {"editor": 58, "reward": 62}
    assert choose_folders(sizes, {disk: 200, memory: 60}) == {"editor": disk, "reward": disk}
    assert choose_folders(sizes, {disk: 60, memory: 64}) == {"editor": disk, "reward": memory}
    assert choose_folders(sizes, {memory: 64, disk: 60}) == {"editor": disk, "reward": memory}
    with pytest.raises(TooLittleSpaceError, match=r"needed are editor .*--models .*--layers"):
        choose_folders(sizes, {disk: 61, memory: 60})


@pytest.mark.slow
def test_a_model_stays_in_the_folder_where_it_was_begun(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    (second / "reward-tiny").mkdir(parents=True)
    folders = _folders("tiny", None, [first, second], ["editor", "reward"])
    assert folders == {"editor": first / "editor-tiny", "reward": second / "reward-tiny"}


def job_module(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> str:
    """A module with a job that reports its process id, then evaluates ``then``."""
    imports = "import os, time; from scripts.full_size.jobs import OutOfTimeError, work_on_job"
    work = f"def work(job, report):\n    report({{'pid': os.getpid()}})\n    {then}\n"
    (folder / "job_of_this_test.py").write_text(f"{imports}\n{work}work_on_job(work)\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "job_of_this_test"


def test_a_result_is_there_before_its_job_ends_which_is_killed_with_its_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = run_job(tmp_path, job_module(tmp_path, monkeypatch, "time.sleep(600)"), {}, 60)
    pid = next(rows)["pid"]
    assert psutil.pid_exists(pid)
    rows.close()  # type: ignore[attr-defined]  # it is a generator
    assert not psutil.pid_exists(pid)


def test_results_of_a_job_that_ran_out_of_time_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = job_module(tmp_path, monkeypatch, "raise OutOfTimeError")
    rows: list[Mapping[str, Any]] = []
    with pytest.raises(OutOfTimeError):
        rows.extend(run_job(tmp_path, module, {}, 60))
    assert len(rows) == 1


def test_a_hint_is_shown_with_its_error() -> None:
    message = "`run` ended with exit code 2:\n1 problem\n  flash needs the package flash_attn\n      leave it out\n"
    assert short(message) == "flash needs the package flash_attn; leave it out"
    assert short("Traceback:\n    act()\nValueError: too few\n") == "ValueError: too few"


@pytest.mark.slow
def test_a_failed_job_says_why_and_keeps_its_results(tmp_path: Path) -> None:
    job = {"role": "reward", "folder": "/dev/null/x", "size": "tiny", "layers": None, "device": "cpu", "until": 0}
    with pytest.raises(JobError, match="NotADirectoryError"):
        list(run_job(tmp_path, "scripts.full_size.build", job, 60))


def run(*arguments: str, models: Path) -> str:
    command = [sys.executable, "-m", "scripts.full_size", "--size", "tiny", "--models", str(models)]
    output = ["--output-dir", str(models / "raw")]
    return subprocess.run([*command, *output, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_tiny_models_are_built_edit_score_and_outlive_a_broken_device_on_a_cpu(tmp_path: Path) -> None:
    chosen = [part for name in MEASURED for part in ("--only", name)]
    output = run(*chosen, models=tmp_path)
    records = read_records(tmp_path / "raw" / "measured.jsonl")
    ended = {record["measure"]: record["status"] for record in records}
    assert ended == dict.fromkeys(MEASURED, "done"), output
    figures = [record for record in records if record["status"] == "figure"]
    (edit,) = [record for record in figures if "seconds_per_edit" in record]
    assert 0 < edit["seconds_per_edit"] < 60
    assert 0 < edit["efficiency"] <= 1
    assert set(edit["load_seconds"]) == {"editor-0"}
    assert min(edit["gap_seconds"]) > 0
    rates = [record for record in figures if record["measure"] == "score"]
    assert [record["what"] for record in rates] == [
        f"reward, `{scoring}`, batches of {size}" for scoring in ("logits", "generate") for size in (1, 2)
    ]
    assert all(record["images_per_second"] > 0 for record in rates), rates
    (raw,) = (tmp_path / "raw").glob("2*.jsonl")
    assert len(raw.read_text().splitlines()) == len(records) + 1
    assert output.count("| reward, `") == 4

    again = run(*chosen, "--only", "moves-reward", "--minutes", "-1", models=tmp_path)
    assert "| moves-reward | not reached |" in again
    assert again.count("| reward, `") == 4
    assert len(read_records(tmp_path / "raw" / "measured.jsonl")) == len(records) + 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own, of its compiler
def test_each_way_to_run_kontext_is_measured_or_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    # Compiling takes a minute; that it works is tested with the options of editors.
    monkeypatch.setattr(torch._dynamo.config, "disable", True)
    options = dataclasses.replace(options_in(tmp_path), folders={"kontext": tmp_path / "kontext"})
    build_kontext(tmp_path / "kontext", TINY, "cpu", lambda: None)
    rows: list[Mapping[str, Any]] = []
    measure_ways(ways_job("kontext", options), rows.append)
    found = {str(row["what"]).removeprefix("kontext, ").strip("`"): row for row in rows}
    assert not [row for row in rows if "error" in row]
    assert [*found] == [*ways("diffusers")]
    done = [name for name, row in found.items() if "seconds_per_edit" in row]
    assert done == ["default", "optimizations: exact", "offload: model", "offload: group"]
    assert {found[name]["psnr"] for name in done[1:]} == {None}  # the same pixels
    assert "the same pixels as the default" in found["offload: model"]["figure"]
    reasons = {name: row["impossible"] for name, row in found.items() if name not in done}
    assert "needs the package torchao" in reasons["quantization: int8"]
    assert reasons["quantization: nf4"] == "it needs 1 GPU, and there is none"
    assert reasons["gpus_per_worker: 2"] == "it needs 2 GPUs, and there is none"
    assert "first_block_cache" in reasons["optimizations: approximate"]

    again: list[Mapping[str, Any]] = []
    measure_ways({**ways_job("kontext", options), "measured": [row["what"] for row in rows]}, again.append)
    assert again == []


def test_only_models_that_are_measured_need_space() -> None:
    assert needed_models(["edit", "switch"]) == ["editor", "reward"]
    assert needed_models(["build-kontext", "context"]) == ["kontext"]
    assert needed_models(GROUPS["ways"]) == ["editor", "kontext"]


def options_in(folder: Path) -> SuiteOptions:
    return SuiteOptions(
        size="tiny",
        layers=None,
        steps=2,
        pairs=2,
        tokens=4,
        batches=(1,),
        device="cpu",
        folders={"editor": folder / "editor", "reward": folder / "reward"},
        state=folder,
        until=0.0,
    )


def test_new_measurements_come_before_failed_ones_and_done_ones_are_skipped(tmp_path: Path) -> None:
    options = options_in(tmp_path)
    ended = {"edit": "failed", "score": "done", "switch": "not reached"}
    records = [{"measure": name, "status": status, "steps": 2, **CPU} for name, status in ended.items()]
    names = ["build-editor", "edit", "score", "option:fp8", "switch"]
    assert _in_order(names, options, {}, records, again=False) == ["build-editor", "option:fp8", "switch", "edit"]
    assert _in_order(names, options, {"gpu": "another"}, records, again=False) == names
    options.folders["editor"].mkdir()
    (options.folders["editor"] / "model_index.json").touch()
    assert _in_order(names, options, {}, records, again=True) == ["score", "option:fp8", "switch", "edit"]


def test_without_a_gpu_its_name_and_figures_are_empty() -> None:
    for device in ("cpu", "cuda:99"):
        with watched(device) as watch:
            assert gpu_name(device) == {}
        assert watch.figures() == {}


def test_invalid_numbers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--models", "/nowhere", "--layers", "0"])
    assert "'0' is not a whole number of at least 1" in capsys.readouterr().err
