"""Engines that place the workers of a plan, real ones on this machine: a Ray cluster of three nodes, a Slurm of one."""

from __future__ import annotations

import abc
import contextlib
import os
import re
import signal
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import psutil

from tests.chaos.nodes import Machines, Nodes
from tests.chaos.plan import Plan
from tests.chaos.processes import find_process
from tests.harness import User
from tests.ray_nodes import RayNodes, ray_nodes
from tests.slurm_cluster import SlurmCluster, missing, slurm_cluster
from tests.waiting import wait_until

_LEFT_SECONDS = 40.0
_OURS = re.compile(r"\b(editor|reward)-\d")


def unavailable(plan: Plan) -> str | None:
    """Why the engine of a plan cannot run here, if it has one and that is so."""
    if plan.placer == "ray" and find_spec("ray") is None:
        return "ray is not installed (extra `ray`)"
    return missing() if plan.placer == "slurm" else None


def machines_of(plan: Plan, user: User) -> Machines | None:
    """Where the workers of a plan are, if the launcher does not start them itself."""
    match plan.placer:
        case "join":
            return Nodes(user, "bench", plan.nodes)
        case "ray":
            return Ray(user)
        case "slurm":
            return Slurm(user)
        case "local":
            return None


class Engine(Machines):
    """A cluster of the plan's own. ``kill`` ends the machine of a worker, or what the engine has for that."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._stack = contextlib.ExitStack()

    def find(self, who: str) -> psutil.Process | None:
        return find_process(self._user.home / "bench", who, os.getpid())

    def close(self) -> list[str]:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self._left(), seconds=_LEFT_SECONDS)
        left = self._left()
        self._stack.close()
        return left

    @abc.abstractmethod
    def _left(self) -> list[str]:
        """What has outlived the pool."""


class Ray(Engine):
    """The head's node lives as long as the cluster."""

    _nodes: RayNodes

    def start(self) -> None:
        self._nodes = self._stack.enter_context(ray_nodes(self._user.environment))
        takes = {"gpus": 0, "cpus": 0.5}  # the head's node has room for all workers of a plan
        self.section = {"ray": {"address": self._nodes.address, "editor": takes, "reward": takes}}

    def kill(self, who: str) -> bool:
        process = self.find(who)
        if process is None:
            return False
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            raylet = int(process.environ()["RAY_RAYLET_PID"])
            if raylet in self._nodes.raylets[1:]:
                os.kill(raylet, signal.SIGKILL)
                return True
        return False

    def _left(self) -> list[str]:
        processes = [f"process {process.pid} of a Ray node" for process in self._nodes.workers()]
        return processes or [f"actor {name}" for _, name in self._nodes.actors()]


class Slurm(Engine):
    """A job for each worker."""

    section: Mapping[str, Any] = {"slurm": {"cpus": 1}}
    _cluster: SlurmCluster

    def start(self) -> None:
        self._cluster = self._stack.enter_context(slurm_cluster())
        environment = self._cluster.environment
        self._user.environment |= {name: environment[name] for name in ("SLURM_CONF", "SLURM_TIME_FORMAT")}

    def kill(self, who: str) -> bool:
        jobs = [line.split()[0] for line in self._left() if who in line]
        for job in jobs:
            self._cluster.output("scancel", job)
        return bool(jobs)

    def _left(self) -> list[str]:
        lines = self._cluster.output("squeue", "--noheader", "--format=%i %j").splitlines()
        return [line for line in lines if _OURS.search(line)]
