"""A run on one side of a network, its workers on the other: a network namespace behind a pair of virtual interfaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.joined import JoinedPool, edits, joined_config, joined_pool, scores
from tests.harness import TIMEOUT, User, new_user, small_benchmark
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

PAIRS = 8
"""Of each of the two categories."""


class Network:
    """The cable between this machine (``here``) and a namespace of its own."""

    def __init__(self) -> None:
        self.namespace = f"wb{os.getpid()}"
        number = os.getpid() % 250
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"
        self.inner, self.outer = f"wbi{os.getpid()}", f"wbo{os.getpid()}"
        self.prefix = ("ip", "netns", "exec", self.namespace)

    def build(self) -> None:
        for command in (
            f"ip netns add {self.namespace}",
            f"ip link add {self.outer} type veth peer name {self.inner} netns {self.namespace}",
            f"ip addr add {self.here}/30 dev {self.outer}",
            f"ip link set {self.outer} up",
            f"ip -n {self.namespace} addr add {self.there}/30 dev {self.inner}",
            f"ip -n {self.namespace} link set {self.inner} up",
            f"ip -n {self.namespace} link set lo up",
        ):
            subprocess.run(command.split(), check=True, capture_output=True)

    def set(self, state: str) -> None:
        """Plug the cable in (``up``) or out (``down``), at the workers' end."""
        subprocess.run(["ip", "-n", self.namespace, "link", "set", self.inner, state], check=True, capture_output=True)

    def remove(self) -> None:
        subprocess.run(["ip", "link", "del", self.outer], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip`, which makes network namespaces")
    made = Network()
    try:
        made.build()
    except subprocess.CalledProcessError as error:
        made.remove()
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.decode(errors='replace').strip()}")
    yield made
    made.remove()


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with new_user(tmp_path) as made:
        yield made


@dataclass(frozen=True)
class Result:
    """What a run leaves that does not depend on where its workers are."""

    edits: dict[str, bytes]
    scores: dict[str, float | None]

    @classmethod
    def of(cls, user: User) -> Result:
        return cls(edits(user), scores(user))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What the same data give in a pool of this machine."""
    folder = tmp_path_factory.mktemp("here")
    with new_user(folder) as user:
        run = user.run_config(user.simulated(small_benchmark(folder / "data.json", pairs=PAIRS)))
        assert run.code == 0, run.output
        return Result.of(user)


def loss(network: Network, _: JoinedPool) -> None:
    """Half of the packets of four seconds are lost, in pieces of which the longest connection survives none."""
    pause = threading.Event()
    for _number in range(8):
        network.set("down")
        pause.wait(0.25)
        network.set("up")
        pause.wait(0.25)


def silence(network: Network, _: JoinedPool) -> None:
    """Four times as long as it takes to count as dead."""
    network.set("down")
    threading.Event().wait(6.0)
    network.set("up")


def cut(network: Network, _: JoinedPool) -> None:
    """Every connection is closed by the kernel, while the cable is fine."""
    if shutil.which("ss") is None:
        pytest.skip("there is no `ss`, which closes connections")
    subprocess.run(["ss", "-K", "dst", network.there], check=False, capture_output=True)


def restart(_: Network, pool: JoinedPool) -> None:
    """The launcher is killed and started again."""
    pool.kill_launcher()
    pool.start()


@pytest.mark.parametrize("trouble", [loss, silence, cut, restart])
def test_a_run_is_complete_and_the_same_whatever_happens_to_the_network(
    user: User, tmp_path: Path, network: Network, expected: Result, trouble: Callable[[Network, JoinedPool], None]
) -> None:
    data = small_benchmark(tmp_path / "data.json", pairs=PAIRS)
    config = joined_config(user, data, pool={"editors": 2, "listen": network.here}, latency_ms=400)
    with joined_pool(user, config, prefix=network.prefix) as pool:
        pool.start()
        pool.join("editor", "editor", "reward")
        pool.wait_for(3)
        with user.start("run", "--config", config) as run:
            wait_until(lambda: user.count("edited") >= 3)
            trouble(network, pool)
            began = time.monotonic()
            output, _ = run.communicate(timeout=TIMEOUT)
        assert run.returncode == 0, output
        assert time.monotonic() - began < 90
        assert [process.poll() for process in pool.workers] == [None] * 3, "whoever was cut off comes back by itself"
        if trouble is silence:
            assert "was not heard for" in output
    rows = user.rows("edited")
    assert len(rows) == len({(row["category"], row["pair_id"]) for row in rows}) == 2 * PAIRS
    assert Result.of(user) == expected
    assert not user.rows("failed")
