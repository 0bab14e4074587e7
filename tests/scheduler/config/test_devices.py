"""Which device each worker gets, and which GPUs are visible."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scheduler.base.stages import Stage
from scheduler.config.checks.environment import Environment, environment_problems
from scheduler.config.devices import nvml_problem, select_visible, visible_gpus
from scheduler.config.document import Config
from scheduler.config.layout import Gpu, Layout, LayoutError, presumed_layout, resolve_layout
from scheduler.config.loading import load_config
from tests.fake_nvml import remove_nvml, show_gpus
from tests.scheduler.config.written import load

MULTI, SINGLE = "multi_gpu_qwen_image_edit", "qwen_image_edit"


def gpus(count: int) -> list[Gpu]:
    return [Gpu(index, "a GPU", 80 << 30) for index in range(count)]


def config(
    editor: str, editor_params: dict[str, Any], reward: str, reward_params: dict[str, Any], **more: Any
) -> Config:
    plain = {
        "diffusion_model": {"type": editor, "params": editor_params},
        "reward_model": {"type": reward, "params": reward_params},
        **more,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(plain), encoding="utf-8")
        return load_config(path)


def cuda(*indices: int) -> tuple[str, ...]:
    return tuple(f"cuda:{index}" for index in indices)


CPU = ("cpu",)


@pytest.mark.parametrize(
    ("editor", "editor_params", "reward_params", "count", "expected"),
    [
        (SINGLE, {}, {}, 1, (cuda(0), cuda(0), "swap")),
        (SINGLE, {}, {}, 6, (cuda(0), cuda(0), "swap")),
        (SINGLE, {"device": "cuda:1"}, {}, 2, (cuda(1), cuda(1), "swap")),
        (SINGLE, {"device": "cpu"}, {}, 0, (CPU, CPU, "resident")),
        (SINGLE, {"device": "cpu"}, {}, 1, (CPU, CPU, "resident")),
        (SINGLE, {"device_ids": [0]}, {}, 1, (cuda(0), cuda(0), "swap")),
        (SINGLE, {"device_ids": [0]}, {}, 6, (cuda(0), cuda(1), "resident")),
        (SINGLE, {"device": "cuda"}, {"device": "cuda"}, 4, (cuda(0), cuda(0), "swap")),
        (SINGLE, {"device": "cuda"}, {"device": "cpu"}, 4, (cuda(0), CPU, "resident")),
        (MULTI, {"device_ids": [0, 1, 2]}, {}, 3, (cuda(0, 1, 2), cuda(0, 1, 2), "swap")),
        (MULTI, {"device_ids": [0, 1, 2]}, {}, 6, (cuda(0, 1, 2), cuda(3), "resident")),
        (MULTI, {"device_ids": [1, 2, 5]}, {}, 6, (cuda(1, 2, 5), cuda(0), "resident")),
        (MULTI, {"device_ids": ["cpu", "cpu"]}, {}, 0, (("cpu", "cpu"), CPU, "resident")),
        (MULTI, {"device_ids": ["cpu", 0]}, {}, 1, (("cpu", "cuda:0"), cuda(0), "swap")),
        (MULTI, {}, {"device": "cuda:2"}, 4, (cuda(0, 1, 3), cuda(2), "resident")),
        (MULTI, {}, {"device_ids": [0, 3]}, 4, (cuda(1, 2), cuda(0, 3), "resident")),
        (MULTI, {}, {"device": "cpu"}, 3, (cuda(0, 1, 2), CPU, "resident")),
        (MULTI, {}, {}, 6, (cuda(0, 1, 2, 3, 4), cuda(5), "resident")),
        (MULTI, {}, {}, 1, (cuda(0), cuda(0), "swap")),
        (MULTI, {}, {"device_ids": [0, 1]}, 2, (cuda(0, 1), cuda(0, 1), "swap")),
        (MULTI, {"device_ids": [0]}, {"device_ids": ["cpu", "cpu"]}, 1, (cuda(0), ("cpu", "cpu"), "resident")),
    ],
)
def test_the_layout(
    editor: str, editor_params: dict[str, Any], reward_params: dict[str, Any], count: int, expected: tuple[Any, ...]
) -> None:
    assert resolve_layout(config(editor, editor_params, "qwen3_vl", reward_params), gpus(count)) == Layout(*expected)


def test_six_gpus_can_be_simulated_where_there_are_none() -> None:
    shared = config("simulated", {"device_ids": [0, 1, 2, 3, 4, 5]}, "simulated", {})
    assert resolve_layout(shared, []) == Layout(cuda(*range(6)), cuda(*range(6)), "swap")
    apart = config("simulated", {"device_ids": [0, 1]}, "simulated", {"device": "cuda:2"})
    assert resolve_layout(apart, []) == Layout(cuda(0, 1), cuda(2), "resident")
    assert resolve_layout(config("simulated", {}, "simulated", {}), []) == Layout(CPU, CPU, "resident")
    assert resolve_layout(config("identity", {}, "qwen3_vl", {}), gpus(1)) == Layout(CPU, cuda(0), "resident")


def test_a_gpu_that_auto_chooses_for_the_reward_is_named() -> None:
    layout = resolve_layout(config(MULTI, {"device_ids": [0, 2]}, "qwen3_vl", {}), gpus(4))
    notice = "reward_model.params.device: auto is cuda:1, the lowest visible GPU that no editor uses"
    assert layout.notices == (notice,)
    for editor, params in ((SINGLE, {}), (MULTI, {}), (MULTI, {"device_ids": [0, 1, 2, 3]})):
        assert resolve_layout(config(editor, params, "qwen3_vl", {}), gpus(4)).notices == ()
    assert resolve_layout(config(MULTI, {}, "qwen3_vl", {"device": "cuda:1"}), gpus(4)).notices == ()


def test_a_class_of_ones_own_shares_its_one_gpu_with_the_reward(tmp_path: Path) -> None:
    text = "diffusion_model: {class_path: my.Editor}\nreward_model: {type: qwen3_vl}"
    assert resolve_layout(load(tmp_path, text), gpus(2)) == Layout(cuda(0), cuda(0), "swap")
    assert resolve_layout(load(tmp_path, text), []) == Layout(CPU, CPU, "resident")


@pytest.mark.parametrize(
    ("editor", "editor_params", "reward_params", "expected"),
    [
        (SINGLE, {}, {}, (cuda(0), cuda(0), "swap")),
        (SINGLE, {"device": "cpu"}, {}, (CPU, CPU, "resident")),
        (MULTI, {"device_ids": [0, 1]}, {}, (cuda(0, 1), cuda(0, 1), "swap")),
        (MULTI, {"device_ids": [0, 1]}, {"device": "cuda:7"}, (cuda(0, 1), cuda(7), "resident")),
        (MULTI, {"device_ids": ["cpu"]}, {}, (CPU, CPU, "resident")),
        (MULTI, {}, {}, ((), (), "resident")),
        (MULTI, {}, {"device_ids": [2, 3]}, ((), cuda(2, 3), "resident")),
    ],
)
def test_the_layout_where_nobody_knows_the_gpus(
    editor: str, editor_params: dict[str, Any], reward_params: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert presumed_layout(config(editor, editor_params, "qwen3_vl", reward_params)) == Layout(*expected)


def test_a_real_reward_does_not_go_to_a_simulated_editors_gpu_that_is_not_there() -> None:
    assert resolve_layout(config("simulated", {"device_ids": [0, 1]}, "qwen3_vl", {}), []).rewards == CPU


def test_the_residency_can_be_set() -> None:
    shared = config(SINGLE, {}, "qwen3_vl", {}, scheduler={"residency": "resident"})
    assert resolve_layout(shared, gpus(1)).residency == "resident"


def test_every_device_that_is_not_there_is_named() -> None:
    wanted = config(MULTI, {"device_ids": [0, 7, 9]}, "qwen3_vl", {"device": "cuda:8"})
    with pytest.raises(LayoutError) as caught:
        resolve_layout(wanted, gpus(2))
    assert [(problem.path, problem.message.split(":")[1]) for problem in caught.value.problems] == [
        ("diffusion_model.params.device_ids", "7"),
        ("diffusion_model.params.device_ids", "9"),
        ("reward_model.params.device", "8"),
    ]
    assert "visible are cuda:0, cuda:1" in str(caught.value)


@pytest.mark.parametrize(("editor", "key"), [(SINGLE, "device"), (MULTI, "device_ids")])
def test_without_gpus_an_editor_that_wants_one_is_reported(editor: str, key: str) -> None:
    with pytest.raises(LayoutError, match="no GPU is visible") as caught:
        resolve_layout(config(editor, {}, "qwen3_vl", {}), [])
    assert caught.value.problems[0].path == f"diffusion_model.params.{key}"


def test_a_stage_that_is_not_run_needs_no_device() -> None:
    wanted = config(MULTI, {}, "qwen3_vl", {})
    edit: tuple[Stage, ...] = ("edit",)
    score: tuple[Stage, ...] = ("score",)
    assert resolve_layout(wanted, gpus(2), stages=edit) == Layout(cuda(0, 1), (), "resident")
    assert resolve_layout(wanted, gpus(2), stages=score) == Layout((), cuda(0), "resident")
    assert resolve_layout(wanted, [], stages=score) == Layout((), CPU, "resident")
    shared = config(MULTI, {"device_ids": [0, 1, 5]}, "qwen3_vl", {}, scheduler={"residency": "swap"})
    assert resolve_layout(shared, gpus(2), stages=score) == Layout((), cuda(0, 1), "resident"), "nobody takes turns"
    assert resolve_layout(shared, gpus(3), stages=score) == Layout((), cuda(2), "resident")
    problems = environment_problems(wanted, Environment(stages=score, data=False))
    assert not any(problem.path.startswith("diffusion_model") for _, problem in problems)


DEVICES = st.lists(st.one_of(st.integers(0, 7), st.just("cpu")), min_size=1, max_size=8).filter(
    lambda entries: len([entry for entry in entries if entry != "cpu"]) == len(set(entries) - {"cpu"})
)


@given(
    count=st.integers(0, 8),
    editors=st.one_of(st.none(), DEVICES),
    rewards=st.one_of(st.none(), DEVICES),
    simulated=st.booleans(),
)
def test_any_layout_keeps_the_rules(
    count: int, editors: list[Any] | None, rewards: list[Any] | None, simulated: bool
) -> None:
    editor, reward = ("simulated", "simulated") if simulated else (MULTI, "qwen3_vl")
    wanted = config(editor, {"device_ids": editors}, reward, {"device_ids": rewards})
    visible = {f"cuda:{index}" for index in range(count)}
    named = {entry for entry in (editors or []) + (rewards or []) if entry != "cpu"}
    if not simulated and (any(entry >= count for entry in named) or (editors is None and count == 0)):
        with pytest.raises(LayoutError):
            resolve_layout(wanted, gpus(count))
        return
    layout = resolve_layout(wanted, gpus(count))
    on_gpus = [set(devices) - {"cpu"} for devices in (layout.editors, layout.rewards)]
    assert layout.editors
    assert layout.rewards
    assert layout.residency == ("swap" if on_gpus[0] & on_gpus[1] else "resident")
    assert simulated or on_gpus[0] | on_gpus[1] <= visible
    for devices in (layout.editors, layout.rewards):
        assert len([name for name in devices if name != "cpu"]) == len(set(devices) - {"cpu"})
    for given_ids, devices in ((editors, layout.editors), (rewards, layout.rewards)):
        if given_ids is not None:
            assert list(devices) == [name if name == "cpu" else f"cuda:{name}" for name in given_ids]


UUIDS = ["GPU-aa11", "GPU-aa22", "GPU-bb33"]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2", [2]),
        ("2,0", [2, 0]),
        (" 1 , 2 ", [1, 2]),
        ("0,7,1", [0]),
        ("0,x,1", [0]),
        ("1,1", []),
        ("GPU-bb,GPU-aa11", [2, 0]),
        ("GPU-aa", []),
        ("GPU-", []),
        ("NoDevFiles", []),
        ("MIG-123,MIG-456", ["MIG-123", "MIG-456"]),
    ],
)
def test_the_visible_gpus_are_those_that_cuda_shows(setting: str | None, expected: list[int | str]) -> None:
    assert select_visible(setting, UUIDS) == expected


def test_the_visible_gpus_are_counted_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    show_gpus(monkeypatch, 6)
    assert nvml_problem() is None
    assert [gpu.index for gpu in visible_gpus()] == [0, 1, 2, 3, 4, 5]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert [(gpu.index, gpu.uuid) for gpu in visible_gpus()] == [(0, "GPU-00000004"), (1, "GPU-00000005")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == ()


def test_without_nvml_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    remove_nvml(monkeypatch)
    assert nvml_problem() == "NVML Shared Library Not Found"
    assert visible_gpus() == ()


# -- workers on other machines


def elsewhere(folder: Path, pool: str, editor: str = MULTI, params: str = "") -> Config:
    text = f"diffusion_model: {{type: {editor}, params: {{{params}}}}}\nreward_model: {{type: qwen3_vl}}\n"
    return load(folder, f"{text}pool: {{placer: join{pool}}}")


def test_workers_elsewhere_have_a_gpu_each_whatever_this_machine_has(tmp_path: Path) -> None:
    wanted = elsewhere(tmp_path, ", editors: 3, rewards: 2")
    assert wanted.pool.transport == "tcp"
    for count in (0, 1, 6):
        assert resolve_layout(wanted, gpus(count)) == Layout(("gpu",) * 3, ("gpu",) * 2, "resident")
    assert presumed_layout(wanted) == Layout(("gpu",) * 3, ("gpu",) * 2, "resident")
    score: tuple[Stage, ...] = ("score",)
    assert resolve_layout(wanted, [], stages=score) == Layout((), ("gpu",) * 2, "resident")


def test_devices_of_workers_elsewhere_count_workers_and_say_of_which_kind(tmp_path: Path) -> None:
    wanted = elsewhere(tmp_path, "", params="device_ids: [0, 1, cpu]")
    assert resolve_layout(wanted, []).editors == ("gpu", "gpu", "cpu")
    assert resolve_layout(elsewhere(tmp_path, "", SINGLE, "device: cpu"), []).editors == CPU
    assert resolve_layout(elsewhere(tmp_path, ", editors: 2", "simulated"), []).editors == ("cpu", "cpu")
    assert resolve_layout(elsewhere(tmp_path, "", "simulated", "device: cuda"), []).editors == ("gpu",)


def test_two_counts_that_differ_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        LayoutError, match=r"pool\.editors: is 3, but diffusion_model\.params\.device_ids has 2 devices"
    ):
        resolve_layout(elsewhere(tmp_path, ", editors: 3", params="device_ids: [0, 1]"), [])
