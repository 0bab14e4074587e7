"""A Ray cluster on this machine: ``python -m tests.ray_nodes NUMBER``, until its standard input is closed.

Each node says that it has two GPUs; Ray sets CUDA_VISIBLE_DEVICES as if it had. The head has no ``site``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

_NODE: Mapping[str, Any] = {"num_cpus": 4, "num_gpus": 2, "object_store_memory": 80 << 20}


@dataclass(frozen=True)
class RayNodes:
    """The address of the cluster, and the process ids of its raylets, the head's first."""

    address: str
    raylets: Sequence[int]

    def actors(self) -> set[tuple[str, str]]:
        """The (namespace, name) of each named actor."""
        code = (
            "import sys, ray, json; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR'); "
            "print('actors:', json.dumps(ray.util.list_named_actors(all_namespaces=True)))"
        )
        output = subprocess.run(
            [sys.executable, "-c", code, self.address], check=True, stdout=subprocess.PIPE, timeout=120
        ).stdout
        line = next(line for line in output.splitlines() if line.startswith(b"actors:"))  # Ray prints others
        return {(actor["namespace"], actor["name"]) for actor in json.loads(line.removeprefix(b"actors:"))}

    def workers(self) -> list[psutil.Process]:
        """The processes of warmbench that actors of this cluster have started and that are alive."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("RAY_RAYLET_PID") in {str(raylet) for raylet in self.raylets}:
                    is_ours = any("warmbench" in part or part == "workers" for part in process.cmdline())
                    if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                        found.append(process)
        return found


@contextlib.contextmanager
def ray_nodes(environment: Mapping[str, str] = os.environ, number: int = 3) -> Iterator[RayNodes]:
    """Start a cluster of so many nodes; it is gone when the block ends. Workers on it have this ``environment``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ray_nodes", str(number)],
        env={**environment, "RAY_USAGE_STATS_ENABLED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            yield RayNodes(**json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    """Start the nodes, say where they are, and wait."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints
    cluster_class: Any = importlib.import_module("ray.cluster_utils").Cluster
    cluster = cluster_class(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    others = range(int(sys.argv[1]) - 1)
    nodes = [cluster.head_node, *(cluster.add_node(**_NODE, resources={"site": 2}) for _ in others)]
    raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
    print(json.dumps({"address": cluster.address, "raylets": raylets}), file=output, flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
