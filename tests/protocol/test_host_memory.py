"""The memory that cgroups leave, on trees of files such as containers and batch jobs have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from protocol.host_memory import available_memory

GB = 10**9
NO_LIMIT_V1 = 9223372036854771712
V1 = {"root": "/", "mount": "/sys/fs/cgroup/memory", "kind": "cgroup", "options": "rw,memory"}
V2 = {"root": "/", "mount": "/sys/fs/cgroup", "kind": "cgroup2", "options": "rw,nsdelegate"}


def machine(root: Path, *, available: int, groups: str, mount: Mapping[str, str]) -> Path:
    """A machine with this much memory; ``groups`` is what ``/proc/self/cgroup`` says."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 2000000000 kB\nMemAvailable: {available // 1024} kB\n")
    (root / "proc/self/cgroup").write_text(groups)
    line = f"35 31 0:32 {mount['root']} {mount['mount']} rw shared:9 - {mount['kind']} cgroup {mount['options']}\n"
    (root / "proc/self/mountinfo").write_text("22 1 0:20 / /proc rw - proc proc rw\n" + line)
    return root


def group(root: Path, path: str, *, limit: int | str, **statistics: int) -> None:
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    old = path.startswith("memory")
    (folder / ("memory.limit_in_bytes" if old else "memory.max")).write_text(f"{limit}\n")
    (folder / "memory.stat").write_text("".join(f"{name} {value}\n" for name, value in statistics.items()))


def test_without_limits_the_machine_decides(tmp_path: Path) -> None:
    machine(tmp_path, available=90 * GB, groups="0::/user.slice\n", mount=V2)
    group(tmp_path, "user.slice", limit="max", anon=50 * GB)
    assert available_memory(tmp_path) == pytest.approx(90 * GB, abs=1024)


def test_a_container_with_a_limit_leaves_it_less_what_cannot_be_reclaimed(tmp_path: Path) -> None:
    machine(tmp_path, available=900 * GB, groups="0::/\n", mount=V2)
    group(tmp_path, "", limit=128 * GB, anon=20 * GB, file=90 * GB, shmem=5 * GB, unevictable=3 * GB)
    assert available_memory(tmp_path) == 100 * GB, "cached files can be reclaimed"


def test_the_limit_of_a_batch_job_is_that_of_a_parent_group(tmp_path: Path) -> None:
    machine(tmp_path, available=900 * GB, groups="0::/slurm/job_7/step_0\n", mount=V2)
    group(tmp_path, "slurm", limit="max")
    group(tmp_path, "slurm/job_7", limit=64 * GB, anon=14 * GB)
    group(tmp_path, "slurm/job_7/step_0", limit="max", anon=GB)
    assert available_memory(tmp_path) == 50 * GB


def test_memory_above_which_a_group_is_slowed_down_is_not_there(tmp_path: Path) -> None:
    machine(tmp_path, available=900 * GB, groups="0::/pod\n", mount=V2)
    group(tmp_path, "pod", limit=64 * GB)
    (tmp_path / "sys/fs/cgroup/pod/memory.high").write_text(f"{48 * GB}\n")
    assert available_memory(tmp_path) == 48 * GB


def test_version_1_counts_the_whole_subtree(tmp_path: Path) -> None:
    groups = "9:name=systemd:/\n4:cpuset,memory:/docker/abc\n1:cpu:/docker/abc\n0::/\n"
    machine(tmp_path, available=900 * GB, groups=groups, mount=V1)
    group(tmp_path, "memory", limit=NO_LIMIT_V1, total_rss=700 * GB)
    group(tmp_path, "memory/docker/abc", limit=128 * GB, rss=GB, total_rss=30 * GB, total_cache=97 * GB, total_shmem=GB)
    assert available_memory(tmp_path) == 97 * GB


@pytest.mark.parametrize("shown", ["/docker/abc", "/../../elsewhere"])
def test_a_container_that_sees_its_own_group_as_the_top_is_understood(tmp_path: Path, shown: str) -> None:
    """The host's path of the group in ``/proc/self/cgroup``, and a mount of that group alone."""
    machine(tmp_path, available=900 * GB, groups="4:memory:/docker/abc\n", mount={**V1, "root": shown})
    group(tmp_path, "memory", limit=16 * GB, total_rss=6 * GB)
    assert available_memory(tmp_path) == 10 * GB


def test_a_group_over_its_limit_leaves_nothing(tmp_path: Path) -> None:
    machine(tmp_path, available=900 * GB, groups="0::/\n", mount=V2)
    group(tmp_path, "", limit=GB, anon=2 * GB)
    assert available_memory(tmp_path) == 0


def test_this_machine_leaves_something_and_not_more_than_it_has() -> None:
    assert 0 < available_memory() <= psutil.virtual_memory().total
