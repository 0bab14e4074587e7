"""What is on the GPUs before a pool is launched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pynvml
import pytest

from protocol import PROTOCOL_VERSION, VERSION
from protocol.pool import PoolCard, WorkerCard, write_card
from protocol.processes import create_time
from scheduler.config.checks.driver import TorchBuild
from scheduler.config.devices import visible_gpus
from scheduler.config.layout import Layout
from scheduler.config.loading import load_config
from scheduler.pool import gpu_room
from scheduler.pool.gpu_room import GpuState, Occupant, RoomCheck, judge
from tests.fake_nvml import MemoryInfo, show_gpus

GB = 10**9


@dataclass(frozen=True)
class Running:
    """An entry of ``nvmlDeviceGetComputeRunningProcesses``."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815 - NVML's name


def use(monkeypatch: pytest.MonkeyPatch, free: int, *processes: Running) -> None:
    """Let each GPU have 80 GB, and these processes."""
    memory = MemoryInfo(80 * GB, free, 80 * GB - free)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: memory)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", lambda _: list(processes))


@pytest.fixture(autouse=True)
def torch_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_room, "installed_torch", lambda: TorchBuild("2.13.0", "13.0"))


@pytest.fixture
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARMBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A config whose editor has 57 GB of weights. They are holes in a sparse file."""
    folder = tmp_path / "edit" / "transformer"
    folder.mkdir(parents=True)
    write_weights(folder / "model.safetensors", {"weight": 57 * GB})
    path = tmp_path / "bench.yaml"
    path.write_text(
        f"diffusion_model: {{type: qwen_image_edit, params: {{model_name: {tmp_path / 'edit'}}}}}\n"
        "reward_model: {type: simulated, params: {device: cpu}}\n"
    )
    return path


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a worker."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def write_weights(path: Path, tensors: Mapping[str, int]) -> None:
    """Tensors of so many bytes, which are holes in a sparse file."""
    header, end = {}, 0
    for name, size in tensors.items():
        header[name] = {"dtype": "BF16", "shape": [size // 2], "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def warm_pool(pools: Path, name: str, pid: int, *, device: str = "cuda:0", visible: str = "0") -> None:
    """The cards of a pool whose only worker is this process."""
    folder = pools / name
    folder.mkdir(parents=True, mode=0o700)
    endpoint, started = "ipc:///nowhere", 0.0
    launcher = PoolCard(
        endpoint=endpoint,
        pid=os.getpid(),
        pid_create_time=create_time(os.getpid()),
        protocol_version=PROTOCOL_VERSION,
        version=VERSION,
        started=started,
    )
    write_card(folder / "pool.json", launcher)
    card = WorkerCard(
        worker_id="editor-0",
        role="editor",
        incarnation="a",
        endpoint=endpoint,
        pid=pid,
        pid_create_time=create_time(pid),
        device=device,
        model=None,
        protocol_version=PROTOCOL_VERSION,
        version=VERSION,
        started=started,
        visible_gpu=visible,
    )
    write_card(folder / "editor-0.json", card)


def findings(path: Path) -> tuple[list[str], list[str]]:
    """The problems and warnings of a config."""
    check = RoomCheck(visible_gpus())
    problems = check(load_config(path))
    return [str(problem) for problem in problems], list(check.warnings)


def test_a_gpu_that_nobody_uses_is_no_problem(config_file: Path, pools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show_gpus(monkeypatch, 1)
    use(monkeypatch, 79 * GB)
    assert findings(config_file) == ([], [])


def test_a_gpu_without_room_for_the_weights_is_a_problem_and_its_processes_are_named(
    config_file: Path, pools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_gpus(monkeypatch, 1)
    use(monkeypatch, 20 * GB, Running(os.getpid(), 50 * GB), Running(4_000_000, 10 * GB))
    problems, warnings = findings(config_file)
    assert warnings == []
    start, end = problems[0].split("the weights take 57.0 GB: ")
    assert start == "diffusion_model.params.device: cuda:0 has 20.0 GB of 80.0 GB free, and "
    assert f"(pid {os.getpid()}) holds 50.0 GB; " in end
    assert end.endswith(
        "a process of another container (pid 4000000) holds 10.0 GB - wait until they end, or use another GPU"
    )


def test_another_warm_pool_is_named_with_the_command_that_stops_it(
    config_file: Path, pools: Path, monkeypatch: pytest.MonkeyPatch, worker: subprocess.Popen[bytes]
) -> None:
    show_gpus(monkeypatch, 2)
    use(monkeypatch, 20 * GB, Running(worker.pid, 58 * GB))
    warm_pool(pools, "nightly", worker.pid)
    expected = (
        "diffusion_model.params.device: cuda:0 has 20.0 GB of 80.0 GB free, and the weights take 57.0 GB: "
        f"editor-0 of pool nightly (pid {worker.pid}) holds 58.0 GB - "
        f"stop the pool: `warmbench workers stop --config {config_file} --pool nightly`"
    )
    assert findings(config_file)[0] == [expected]


def test_a_warm_pool_that_leaves_room_is_worth_a_warning_even_if_its_processes_have_other_pids_in_nvml(
    config_file: Path, pools: Path, monkeypatch: pytest.MonkeyPatch, worker: subprocess.Popen[bytes]
) -> None:
    show_gpus(monkeypatch, 2)
    use(monkeypatch, 79 * GB)
    warm_pool(pools, "nightly", worker.pid)
    expected = (
        f"cuda:0 is used by others as well (79.0 GB of 80.0 GB free): editor-0 of pool nightly (pid {worker.pid}) "
        f"- to stop the pool: `warmbench workers stop --config {config_file} --pool nightly`"
    )
    assert findings(config_file) == ([], [expected])


def test_the_runs_own_warm_pool_is_no_stranger(
    config_file: Path, pools: Path, monkeypatch: pytest.MonkeyPatch, worker: subprocess.Popen[bytes]
) -> None:
    show_gpus(monkeypatch, 1)
    use(monkeypatch, 20 * GB, Running(worker.pid, 58 * GB))
    warm_pool(pools, "bench", worker.pid)
    assert findings(config_file) == ([], [])


def test_memory_that_only_others_can_see_is_mentioned(config_file: Path) -> None:
    config = load_config(config_file)
    state = GpuState("cuda:0", 80 * GB, 20 * GB, 57 * GB, ())
    judged = judge(config, Layout(("cuda:0",), ("cpu",), "resident"), [state])
    assert "processes that can't be seen from here hold the rest" in str(judged.problems[0])


@pytest.mark.parametrize(("used", "warned"), [(GB // 2, False), (2 * GB, True), (None, False)])
def test_a_desktop_is_not_worth_a_warning(config_file: Path, used: int | None, warned: bool) -> None:
    config = load_config(config_file)
    state = GpuState("cuda:0", 80 * GB, 70 * GB, 57 * GB, (Occupant("Xorg of user root (pid 9)", used),))
    judged = judge(config, Layout(("cuda:0",), ("cpu",), "resident"), [state])
    assert (len(judged.problems), bool(judged.warnings)) == (0, warned)


def test_a_cpu_build_of_torch_is_a_warning(config_file: Path, pools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show_gpus(monkeypatch, 1)
    use(monkeypatch, 79 * GB)
    monkeypatch.setattr(gpu_room, "installed_torch", lambda: TorchBuild("2.13.0+cpu", None))
    expected = (
        "torch 2.13.0+cpu is a build without CUDA and can't use cuda:0: install another, with "
        "`make setup TORCH_INDEX=URL` (docs/troubleshooting.md)"
    )
    assert findings(config_file) == ([], [expected])


def test_a_gpu_that_is_too_small_is_not_said_to_be_used_by_others(config_file: Path) -> None:
    config = load_config(config_file)
    judged = judge(
        config, Layout(("cuda:0",), ("cpu",), "resident"), [GpuState("cuda:0", 43 * GB, 42 * GB, 57 * GB, ())]
    )
    hint = "use a smaller model, or more `gpus_per_worker` (docs/layouts.md)"
    expected = f"cuda:0 has 43.0 GB, and the weights take 57.0 GB - {hint}"
    assert [str(problem) for problem in judged.problems] == [f"diffusion_model.params.device: {expected}"]


def test_a_model_that_is_spread_needs_its_share_of_each_gpu(
    config_file: Path, pools: Path, monkeypatch: pytest.MonkeyPatch, worker: subprocess.Popen[bytes]
) -> None:
    layers = {f"blocks.{number}.weight": GB for number in range(57)}
    write_weights(config_file.parent / "edit" / "transformer" / "model.safetensors", layers)
    show_gpus(monkeypatch, 3, memory=80 * GB)
    use(monkeypatch, 28 * GB)
    warm_pool(pools, "nightly", worker.pid, device="cuda:1+2", visible="1,2")
    text = config_file.read_text()
    config_file.write_text(text.replace("params: {model_name", "params: {gpus_per_worker: 2, model_name"))
    problems, warnings = findings(config_file)
    assert len(problems) == 1
    assert "cuda:0 has 28.0 GB of 80.0 GB free, and the weights take 29.0 GB" in problems[0]
    assert ["cuda:1 is used by others" in warning for warning in warnings] == [True]


def test_weights_that_the_worker_makes_smaller_are_not_counted(
    config_file: Path, pools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_gpus(monkeypatch, 1)
    use(monkeypatch, 42 * GB)
    text = config_file.read_text()
    config_file.write_text(text.replace("params: {model_name", "params: {optimizations: {fp8: true}, model_name"))
    assert findings(config_file)[0] == []
