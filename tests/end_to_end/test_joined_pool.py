"""Pools over TCP: workers that join, users with keys, launchers that are killed and started again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol import messages as m
from protocol.keys import new_pair, read_client_keys
from tests.end_to_end.joined import edits, joined_config, joined_pool, scores
from tests.harness import TIMEOUT, User, new_user, small_benchmark
from tests.ipv6 import needs_ipv6
from tests.protocol.curve import connect
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with new_user(tmp_path) as made:
        yield made


def test_workers_that_join_give_the_same_as_a_pool_of_this_machine(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=4)
    here = user.run_config(user.simulated(data))
    assert here.code == 0, here.output
    images, marks = edits(user), scores(user)

    with joined_pool(user, joined_config(user, data, pool={"editors": 2})) as pool:
        pool.start()
        pool.join("editor", "editor", "reward")
        workers = pool.wait_for(3)
        assert all(worker.host is not None and worker.device == f"{worker.host}:cpu" for worker in workers.values())
        own = user.run("run", "--config", pool.config)
        assert own.code == 0, own.output
        assert "other devices" not in own.output
        assert (edits(user), scores(user)) == (images, marks)

        key = tmp_path / "friend.key"
        made = user.run("workers", "keys", "--pool", pool.name, "--for", "run", "--to", key, "--name", "friend")
        assert made.code == 0, made.output
        far = ("--pool", pool.endpoint, "--key", key)
        friend = user.run("run", "--config", pool.config, *far)
        assert friend.code == 0, friend.output
        assert (edits(user), scores(user)) == (images, marks)
        assert "idle" in user.run("workers", "status", *far).output
        assert "friend: for runs" in user.run("workers", "keys", "--pool", pool.name).output

        secret = read_client_keys(key).secret
        left = [path for path in user.output.rglob("*") if path.is_file()]
        assert left
        assert all(secret.encode() not in path.read_bytes() for path in left)
        assert secret not in friend.output

        assert user.run("workers", "keys", "--pool", pool.name, "--take-back", "friend").code == 0
        refused = user.run("workers", "status", *far)
        assert refused.code == 1
        assert "answers only to keys that it knows" in refused.output
        stopped = user.run("workers", "stop", "--pool", pool.name)
        assert stopped.code == 0, stopped.output
        for process in pool.workers:
            assert process.wait(20) == 0
    assert user.left_over() == []


@needs_ipv6
def test_a_pool_on_an_address_of_ipv6(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=1)
    with joined_pool(user, joined_config(user, data, pool={"listen": "[::1]"})) as pool:
        assert pool.start().endpoint.startswith("tcp://[::1]:")
        pool.join("editor", "reward")
        assert all((worker.endpoint or "").startswith("tcp://[::1]:") for worker in pool.wait_for(2).values())
        key = tmp_path / "friend.key"
        assert user.run("workers", "keys", "--pool", pool.name, "--for", "run", "--to", key).code == 0
        run = user.run("run", "--config", pool.config, "--pool", pool.endpoint, "--key", key)
        assert run.code == 0, run.output


def test_a_pool_grows_and_shrinks_while_a_run_goes_on(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=8)
    config = joined_config(user, data, pool={"editors": 1}, latency_ms=250)
    with joined_pool(user, config) as pool:
        pool.start()
        pool.join("editor", "reward")
        pool.wait_for(2)
        with user.start("run", "--config", config) as run:
            wait_until(lambda: user.count("edited") >= 2)
            pool.join("editor")
            wait_until(lambda: any(row["worker"] == "editor-1" for row in user.rows("edited")), seconds=60)
            pool.workers[0].terminate()
            output, _ = run.communicate(timeout=TIMEOUT)
        assert run.returncode == 0, output
        rows = user.rows("edited")
        assert len(rows) == len({(row["category"], row["pair_id"]) for row in rows}) == 16


def test_a_pair_that_kills_workers_that_joined_fails_and_the_next_worker_takes_their_place(
    user: User, tmp_path: Path
) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    config = joined_config(user, data, pool={}, faults={"crash": ["spatial/1"]})
    with joined_pool(user, config) as pool:
        pool.start()
        pool.join("editor", "reward")
        pool.wait_for(2)
        editor, deaths = pool.workers[0], 0
        with user.start("run", "--config", config) as run:
            while run.poll() is None:
                if editor.poll() is not None:
                    deaths += 1
                    # Who joins before its end is known is one more editor.
                    wait_until(lambda: "editor-0" not in pool.ready())
                    pool.join("editor")
                    editor = pool.workers[-1]
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.wait(0.05)
            output, _ = run.communicate(timeout=TIMEOUT)
        assert run.returncode == 3, output
        assert "its process has ended" in output
        (failed,) = user.rows("failed")
        assert (failed["kind"], failed["pair_id"]) == ("poison", "1")
        assert len(user.rows("scored")) == 3
        assert 2 <= deaths <= 4
        status = pool.status()
        assert status is not None
        assert {worker.worker_id for worker in status.workers} == {"editor-0", "reward-0"}


def test_a_launcher_that_is_killed_and_started_again_adopts_its_workers(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=8)
    config = joined_config(user, data, pool={"editors": 2}, latency_ms=400)
    with joined_pool(user, config) as pool:
        first = pool.start()
        pool.join("editor", "editor", "reward")
        before = pool.wait_for(3)
        with user.start("run", "--config", config) as run:
            wait_until(lambda: user.count("edited") >= 2)
            pool.kill_launcher()
            assert pool.start().endpoint == first.endpoint
            output, _ = run.communicate(timeout=TIMEOUT)
        assert run.returncode == 0, output
        after = pool.wait_for(3)
        for name, worker in before.items():
            assert (after[name].pid, after[name].incarnation) == (worker.pid, worker.incarnation)
        assert pool.logs().count("editor-0 is loading") <= 1
        rows = user.rows("edited")
        assert len(rows) == len({(row["category"], row["pair_id"]) for row in rows}) == 16
        assert not user.rows("failed")


def test_a_worker_and_a_run_without_a_launcher_give_up_after_orphan_seconds(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=8)
    config = joined_config(user, data, pool={"editors": 1, "orphan_seconds": 1}, latency_ms=400)
    with joined_pool(user, config) as pool:
        pool.start()
        pool.join("editor", "reward")
        pool.wait_for(2)
        with user.start("run", "--config", config) as run:
            wait_until(lambda: user.count("edited") >= 1)
            pool.kill_launcher()
            for process in pool.workers:
                process.wait(30)
            output, _ = run.communicate(timeout=TIMEOUT)
        assert run.returncode == 1, output
        assert "was not heard for" in output
        assert "To resume:" in output
        assert "the launcher was not heard for" in pool.logs()


def test_times_of_workers_whose_clocks_are_wrong_by_minutes_are_right(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=2)
    config = joined_config(user, data, pool={"editors": 2})
    for name, seconds in (("fast", 300.0), ("slow", -300.0)):
        (tmp_path / name).mkdir()
        wrong = f"import time\nright = time.time\ntime.time = lambda: right() + {seconds}\n"
        (tmp_path / name / "sitecustomize.py").write_text(wrong)
    with joined_pool(user, config) as pool:
        pool.start()
        pool.join("editor", PYTHONPATH=str(tmp_path / "fast"))
        pool.join("editor", "reward", PYTHONPATH=str(tmp_path / "slow"))
        pool.wait_for(3)
        began = time.time()
        run = user.run("run", "--config", config, "--trace")
        assert run.code == 0, run.output
        ended = time.time()
    rows = [*user.rows("edited"), *user.rows("scored")]
    assert len(rows) == 8
    assert {row["worker"] for row in rows} == {"editor-0", "editor-1", "reward-0"}
    for row in rows:
        assert began <= row["started"] <= row["finished"] <= ended
    stages = {row["stage"]: row for row in user.rows("stage")}
    assert all(0 <= row["wall_seconds"] <= ended - began for row in stages.values())


def test_another_version_and_a_foreign_key_are_refused(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=1)
    with joined_pool(user, joined_config(user, data, pool={})) as pool:
        pool.start()
        keys = read_client_keys(pool.key)
        with zmq.Context() as context:
            join = m.Join(
                run="worker-x",
                incarnation="x",
                role="editor",
                protocol_version=PROTOCOL_VERSION + 1,
                version="99.0",
                host="node7",
                pid=os.getpid(),
                device="cpu",
                endpoint="tcp://127.0.0.1:1",
                server_key=new_pair().public,
                state=m.WorkerState(phase="starting"),
            )
            with connect(context, pool.endpoint, keys) as link:
                link.send(join)
                assert link.socket.poll(10_000)
                received = link.receive()
            assert received is not None
            refused = received[0]
            assert isinstance(refused, m.Refused)
            assert refused.kind == "protocol_version"
            for part in ("node7", "99.0", VERSION, str(PROTOCOL_VERSION), str(PROTOCOL_VERSION + 1)):
                assert part in refused.message
        pool.join("reward")
        pool.wait_for(1)
        assert {worker.role for worker in pool.ready().values()} == {"reward"}


def test_what_is_wrong_with_a_key_or_an_address_is_said(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1))
    missing = user.run("run", "--config", config, "--pool", "tcp://127.0.0.1:9")
    assert (missing.code, "--key FILE" in missing.output) == (2, True)
    open_to_all = tmp_path / "open.key"
    open_to_all.touch(mode=0o644)
    result = user.run("run", "--config", config, "--pool", "tcp://127.0.0.1:9", "--key", open_to_all)
    assert (result.code, "chmod 600" in result.output) == (2, True)
    assert "--key is for a pool elsewhere" in user.run("run", "--config", config, "--key", open_to_all).output
    made = user.run("workers", "keys", "--pool", "far", "--for", "run", "--to", tmp_path / "run.key")
    assert made.code == 0, made.output
    again = user.run("workers", "keys", "--pool", "far", "--for", "run", "--to", tmp_path / "run.key", "--name", "x")
    assert (again.code, "exists already" in again.output) == (2, True)
    nobody = user.run("run", "--config", config, "--pool", "tcp://127.0.0.1:9", "--key", tmp_path / "run.key")
    assert nobody.code == 2
    assert "can't be reached: Connection refused" in nobody.output
    assert not (user.output / "runs").exists()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert "tcp://127.0.0.1:9" not in process.cmdline()
