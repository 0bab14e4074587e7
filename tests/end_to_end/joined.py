"""A pool over TCP whose workers join by hand, each a process of the test."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from protocol import messages as m
from protocol.pool import PoolCard, read_pool_card
from scheduler.pool.address import PoolAddress, PoolUnavailableError
from scheduler.pool.session import PoolSession
from tests.harness import User
from tests.processes import has_ended
from tests.waiting import wait_until

TIMES = {"heartbeat_seconds": 0.1, "dead_after_seconds": 1.5}


class JoinedPool:
    """The pool of a config with ``placer: join``. ``prefix`` runs workers, such as in another network namespace."""

    def __init__(self, user: User, config: Path, *, prefix: tuple[str, ...] = ()) -> None:
        self.user = user
        self.config = config
        self.name = config.stem
        self.folder = user.home / self.name
        self.prefix = prefix
        self.workers: list[subprocess.Popen[bytes]] = []
        self.starts: list[subprocess.Popen[str]] = []
        self.key = user.folder / "worker.key"

    def start(self) -> PoolCard:
        """Start the launcher, for the first time or again."""
        self.starts.append(self.user.start("workers", "start", "--config", self.config))
        wait_until(lambda: read_pool_card(self.folder) is not None)
        if not self.key.exists():
            made = self.user.run("workers", "keys", "--pool", self.name, "--for", "worker", "--to", self.key)
            assert made.code == 0, made.output
        card = read_pool_card(self.folder)
        assert card is not None
        return card

    @property
    def endpoint(self) -> str:
        card = read_pool_card(self.folder)
        assert card is not None
        return card.endpoint

    def join(self, *roles: str, **variables: str) -> None:
        """Have workers join, without waiting for them; ``variables`` are added to their environment."""
        for role in roles:
            log = (self.user.folder / f"joined-{len(self.workers)}.log").open("wb")
            command = [*self.prefix, sys.executable, "-m", "workers", "join", self.endpoint]
            options = ["--key", str(self.key), "--role", role]
            with log:
                process = subprocess.Popen(
                    [*command, *options],
                    env={**self.user.environment, **variables},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.workers.append(process)

    def logs(self) -> str:
        paths = sorted(self.user.folder.glob("joined-*.log"))
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)

    def status(self) -> m.PoolStatus | None:
        """What the launcher reports; None if there is none."""
        card = read_pool_card(self.folder)
        if card is None:
            return None
        try:
            with contextlib.closing(PoolSession(PoolAddress.here(self.name, self.folder, card))) as session:
                return session.next_status(2.0)
        except PoolUnavailableError:
            return None

    def ready(self) -> dict[str, m.WorkerStatus]:
        """The workers that have their model, by name."""
        status = self.status()
        workers = status.workers if status is not None else []
        return {
            worker.worker_id: worker
            for worker in workers
            if worker.alive and worker.state is not None and worker.state.phase == "ready"
        }

    def wait_for(self, count: int) -> dict[str, m.WorkerStatus]:
        wait_until(lambda: len(self.ready()) >= count, seconds=60)
        return self.ready()

    def kill_launcher(self) -> None:
        card = read_pool_card(self.folder)
        assert card is not None
        launcher = psutil.Process(card.pid)
        launcher.kill()
        wait_until(lambda: has_ended(launcher))

    def close(self) -> None:
        """End everything that the test has started."""
        if read_pool_card(self.folder) is not None:
            self.user.run("workers", "stop", "--pool", self.name, "--now")
        for process in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()
                process.wait()
        for start in self.starts:
            start.kill()
            start.communicate()


@contextlib.contextmanager
def joined_pool(user: User, config: Path, *, prefix: tuple[str, ...] = ()) -> Iterator[JoinedPool]:
    pool = JoinedPool(user, config, prefix=prefix)
    try:
        yield pool
    finally:
        pool.close()


def joined_config(user: User, data: Path, name: str = "far", *, pool: Mapping[str, Any], **editor: Any) -> Path:
    """A config with simulated models of which workers join; ``editor`` are its parameters."""
    return user.config(
        name,
        benchmark={"data_path": str(data)},
        diffusion_model={"type": "simulated", "params": {"latency_ms": 20, **editor}},
        reward_model={"type": "simulated", "params": {"latency_ms": 5, "batch_size": 4}},
        evaluation={"save_generated_images": True},
        pool={"placer": "join", "listen": "127.0.0.1", **pool},
        scheduler=TIMES,
    )


def edits(user: User) -> dict[str, bytes]:
    """The edits of the newest run, by path."""
    folder = user.run_folder() / "images"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def scores(user: User) -> dict[str, float | None]:
    return {f"{one['category']}/{one['pair_id']}": one["score"] for one in user.report()["pairs"]}
