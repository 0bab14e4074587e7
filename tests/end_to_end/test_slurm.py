"""Pools under a real Slurm, of one node with two GPUs that are none: as steps of an allocation, and as jobs."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.pool import POOL_CARD, read_pool_card
from tests.harness import TIMEOUT, User, small_benchmark
from tests.slurm_cluster import SlurmCluster, missing, slurm_cluster
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PAIRS = 6
pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: SlurmCluster, user: User) -> Iterator[SlurmCluster]:
    """The cluster, which the user's commands find; at the end of a test nothing is left in it."""
    user.environment |= shared_cluster.environment
    yield shared_cluster
    shared_cluster.cancel_all()


@pytest.fixture(params=["steps", "jobs"])
def how(request: pytest.FixtureRequest, cluster: SlurmCluster, user: User) -> str:
    """Within an allocation with both GPUs, or outside of any."""
    if request.param == "steps":
        user.environment["SLURM_JOB_ID"] = cluster.allocate("--gpus=2", "--ntasks=1", "--cpus-per-task=6")
    return str(request.param)


def config(user: User, tmp_path: Path, *, latency_ms: float = 5, name: str = "bench", **pool: object) -> Path:
    """Two editors with a GPU each, and a reward on the CPU."""
    data = tmp_path / "data.json"
    return user.simulated(
        data if data.exists() else small_benchmark(data, pairs=PAIRS),
        editor={"device_ids": [0, 1], "latency_ms": latency_ms},
        name=name,
        **({"pool": {"placer": "slurm", "slurm": {"cpus": 1}, **pool}} if name == "bench" else {}),
    )


def ours(cluster: SlurmCluster) -> list[str]:
    """The jobs and steps of workers that have not ended: ``ID NAME``."""
    found = cluster.output("squeue", "--noheader", "--format=%i %j").splitlines()
    found += cluster.output("squeue", "--steps", "--noheader", "--format=%i %j").splitlines()
    return [line for line in found if re.search(r"(editor|reward)-\d", line)]


def edits(user: User) -> Counter[str]:
    return Counter(f"{row['category']}/{row['pair_id']}" for row in user.rows("edited"))


def assert_nothing_is_left(user: User, cluster: SlurmCluster) -> None:
    """The launcher ends when Slurm says that its workers have."""
    wait_until(lambda: ours(cluster) == [] and user.left_over() == [], seconds=30)


def launcher_log(user: User) -> str:
    return (user.home / "bench" / "launcher.log").read_text()


def test_a_run_makes_the_same_edits_as_on_one_machine_each_editor_on_a_gpu_of_its_own(
    user: User, cluster: SlurmCluster, how: str, tmp_path: Path
) -> None:
    here = user.run_config(config(user, tmp_path, name="here"))
    assert here.code == 0, here.output
    expected = user.hashes()
    path = config(user, tmp_path)
    assert user.run("workers", "start", "--config", path).code == 0, "a run begins with the first editor that is ready"
    result = user.run_config(path)
    assert user.check("workers", "stop", "--config", path).code == 0
    assert result.code == 0, result.output
    assert user.hashes() == expected
    assert len(expected) == 2 * PAIRS
    assert user.report()["status"] == "COMPLETE"
    devices = {row["device"] for row in user.rows("edited")}
    assert devices == {f"{cluster.host}:cuda:0", f"{cluster.host}:cuda:1"}
    assert {row["device"] for row in user.rows("scored")} == {f"{cluster.host}:cpu"}
    assert_nothing_is_left(user, cluster)


def test_jobs_find_the_key_and_write_their_logs_in_the_shared_folder(
    user: User, cluster: SlurmCluster, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    path = config(user, tmp_path, slurm={"cpus": 1, "shared_folder": str(shared)})
    assert user.run("workers", "start", "--config", path).code == 0
    key = shared / "warmbench-bench-join.key"
    assert (shared.stat().st_mode & 0o777, key.stat().st_mode & 0o777) == (0o700, 0o600)
    (job,) = [line.split()[0] for line in ours(cluster) if line.endswith("editor-0")]
    assert f"--key {key}" in cluster.output("scontrol", "write", "batch_script", job, "-")
    log = user.home / "bench" / "editor-0.log"
    assert log.readlink() == shared / "warmbench-bench-editor-0.log"
    assert log.exists(), "the job has made it"
    assert user.check("workers", "stop", "--config", path).code == 0
    assert not key.exists()
    assert_nothing_is_left(user, cluster)


def test_a_task_that_slurm_ends_is_started_again_and_nothing_is_lost_or_double(
    user: User, cluster: SlurmCluster, how: str, tmp_path: Path
) -> None:
    started = user.start_run(config(user, tmp_path, latency_ms=1200))
    wait_until(lambda: user.count("edited") >= 2)
    victim = next(line.split()[0] for line in ours(cluster) if "editor-0" in line)
    assert subprocess.run(["scancel", victim], env=user.environment, check=False, timeout=60).returncode == 0
    output, _ = started.communicate(timeout=TIMEOUT)
    assert started.returncode == 0, output
    assert edits(user) == Counter(
        {f"{category}/{number}": 1 for category in ("物理", "spatial") for number in range(PAIRS)}
    )
    assert re.search(r"editor-0 died .*restart in", launcher_log(user))
    assert launcher_log(user).count("editor-0 joined") == 2
    wait_until(lambda: ours(cluster) == [] and user.processes() == [])


def test_a_worker_without_resources_says_what_it_waits_for(
    user: User, cluster: SlurmCluster, how: str, tmp_path: Path
) -> None:
    """Half of the GPUs are another's."""
    if how == "steps":
        holder = ["srun", "--exact", "--ntasks=1", "--gpus-per-task=1", "--mem=0", "sleep", "600"]
        busy = subprocess.Popen(holder, env=user.environment, stderr=subprocess.DEVNULL)
    else:
        cluster.output("sbatch", "--gpus-per-task=1", "--ntasks=1", "--output=/dev/null", "--wrap=sleep 600")
    wait_until(lambda: "sleep" in cluster.output("squeue", "--steps", "--noheader") or how == "jobs")
    path = config(user, tmp_path)
    started = user.start_run(path, "--keep-warm")
    why = "a GPU of Slurm's allocation" if how == "steps" else r"Slurm to start job \d+ \(Resources"
    wait_until(lambda: re.search(f"waits for {why}", user.check("workers", "status", "--config", path).output))
    if how == "steps":
        busy.terminate()
        busy.wait(60)
    else:
        cluster.cancel_all("--name=wrap")
    wait_until(lambda: launcher_log(user).count("is ready") == 3)
    output, _ = started.communicate(timeout=TIMEOUT)
    assert started.returncode == 0, output
    assert user.check("workers", "stop", "--config", path).code == 0
    assert ours(cluster) == []


def test_nothing_is_left_when_the_launcher_is_killed(
    user: User, cluster: SlurmCluster, how: str, tmp_path: Path
) -> None:
    path = config(user, tmp_path, orphan_seconds=1)
    assert user.run("workers", "start", "--config", path).code == 0
    assert len(ours(cluster)) == 3
    card = read_pool_card(user.home / "bench")
    assert card is not None
    subprocess.run(["kill", "-KILL", str(card.pid)], check=True)
    wait_until(lambda: ours(cluster) == [], seconds=90)
    wait_until(lambda: user.processes() == [])


def test_jobs_that_wait_are_cancelled_at_the_end_and_by_the_next_launcher(
    user: User, cluster: SlurmCluster, tmp_path: Path
) -> None:
    cluster.output("sbatch", "--gpus=2", "--ntasks=1", "--output=/dev/null", "--wrap=sleep 600")
    path = config(user, tmp_path)
    first = user.start("workers", "start", "--config", path)
    wait_until(lambda: len(ours(cluster)) == 3 and read_pool_card(user.home / "bench"))
    card = read_pool_card(user.home / "bench")
    assert card is not None
    before = {line.split()[0] for line in ours(cluster) if "editor" in line}
    subprocess.run(["kill", "-KILL", str(card.pid)], check=True)
    first.communicate(timeout=TIMEOUT)

    second = user.start("workers", "start", "--config", path)
    wait_until(lambda: len(ours(cluster)) >= 2 and not before & {line.split()[0] for line in ours(cluster)})
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=TIMEOUT)
    wait_until(lambda: ours(cluster) == [])
    assert cluster.output("squeue", "--noheader", "--format=%j").split() == ["wrap"], "another's job is left alone"


def test_launch_workers_is_a_batch_script_that_ends_with_its_job(
    user: User, cluster: SlurmCluster, tmp_path: Path
) -> None:
    path = config(user, tmp_path)
    command = ["sbatch", "--parsable", "--gpus=2", "--cpus-per-task=6", f"--output={tmp_path / 'job.out'}"]
    job = subprocess.check_output(
        [*command, ROOT / "scripts" / "launch_workers.sh", path], env=user.environment, cwd=ROOT, text=True, timeout=60
    ).strip()
    wait_until(
        lambda: "In the foreground" in (tmp_path / "job.out").read_text() if (tmp_path / "job.out").exists() else 0
    )
    assert len(ours(cluster)) == 3, "steps of the job"
    result = user.run_config(path, "--no-launch")
    assert result.code == 0, result.output
    cluster.output("scancel", job)
    wait_until(lambda: cluster.jobs() == [])
    assert not (user.home / "bench" / POOL_CARD).exists()
    assert_nothing_is_left(user, cluster)


def test_a_job_that_slurm_refuses_says_why(user: User, cluster: SlurmCluster, tmp_path: Path) -> None:
    path = config(user, tmp_path, slurm={"partition": "nope"})
    result = user.run("workers", "start", "--config", path)
    assert result.code == 1, result.output
    assert "invalid partition specified: nope" in result.output + launcher_log(user)
