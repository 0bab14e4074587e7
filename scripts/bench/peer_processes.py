"""Peers whose devices are processes: the standard library's pool, Ray's actors, Dask.

``python -m scripts.bench.peer_processes JOB`` runs one of them in its own process, so that none of it (Ray's daemons,
Dask's event loop) stays in the bench. All processes have started and finished their imports before the first pair.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import astuple
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from scripts.bench.peers import DASK, PROCESSES, RAY, RAY_KEEPING, Devices, Kept
from scripts.bench.pictures import read_benchmark
from scripts.bench.timing import Span
from scripts.bench.workplace import Workplace

_RAY_STORE_BYTES = 512 * 2**20
_START_SECONDS = 60.0


def run_apart(place: Workplace, peer: str, data: Path, parameters: Mapping[str, Any], devices: int) -> list[Span]:
    """Have the peer do the edits of a benchmark file, in another process.

    Raises:
        BenchError: it failed.
    """
    folder = place.new_folder("p")
    job = folder / "job.json"
    content = {"peer": peer, "data": str(data), "parameters": dict(parameters), "devices": devices}
    job.write_text(json.dumps(content), encoding="utf-8")
    place.python("-m", "scripts.bench.peer_processes", str(job))
    return [Span(*times) for times in json.loads((folder / "spans.json").read_text(encoding="utf-8"))]


def process_pool(pairs: Mapping[str, bytes], parameters: Mapping[str, Any], devices: int, _folder: Path) -> list[Span]:
    """``concurrent.futures.ProcessPoolExecutor``, which sends a few pairs ahead."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(devices)
    with ProcessPoolExecutor(devices, context, _begin, (parameters, together)) as pool:
        list(pool.map(_wait_for_all, range(devices)))
        spans = []
        for future in as_completed([pool.submit(_work, *pair) for pair in pairs.items()]):
            _, started, finished = future.result()
            spans.append(Span(started, finished, time.time()))
        return spans


def ray_actor_pool(
    pairs: Mapping[str, bytes],
    parameters: Mapping[str, Any],
    devices: int,
    folder: Path,
    keep: Callable[[str, bytes], float] = lambda _key, _image: time.time(),
) -> list[Span]:
    """``ray.util.ActorPool`` with one actor per device, as in its documentation.

    ``keep`` gets each result with its number, and returns when it was delivered.
    """
    ray: Any = importlib.import_module("ray")
    actor_pool: Any = importlib.import_module("ray.util").ActorPool
    ray.init(
        num_cpus=devices,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=_RAY_STORE_BYTES,
        _node_ip_address="127.0.0.1",
        _temp_dir=str(folder),
    )
    try:
        actors = [ray.remote(num_cpus=1)(Devices).remote(parameters) for _ in range(devices)]
        ray.get([actor.ready.remote() for actor in actors], timeout=_START_SECONDS)
        spans: list[Span] = []
        edits = actor_pool(actors).map_unordered(lambda actor, pair: actor.work.remote(*pair), list(pairs.items()))
        for image, started, finished in edits:
            spans.append(Span(started, finished, keep(str(len(spans)), image)))
        return spans
    finally:
        ray.shutdown()


def ray_keeping(pairs: Mapping[str, bytes], parameters: Mapping[str, Any], devices: int, folder: Path) -> list[Span]:
    """The same, but each result is on disk before the next is requested: the image, then its row in a file."""
    kept = Kept(folder)
    try:
        return ray_actor_pool(pairs, parameters, devices, folder, kept.keep)
    finally:
        kept.close()


def dask_distributed(
    pairs: Mapping[str, bytes], parameters: Mapping[str, Any], devices: int, folder: Path
) -> list[Span]:
    """A local cluster with one process per device, each with a second pair waiting."""
    os.environ["DASK_TEMPORARY_DIRECTORY"] = str(folder)  # ``local_directory`` does not cover the locks
    distributed: Any = importlib.import_module("distributed")
    cluster = distributed.LocalCluster(
        n_workers=devices,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        local_directory=str(folder),
        memory_limit=0,
        silence_logs=True,
    )
    with cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(devices, timeout=_START_SECONDS)
        client.run(_begin, dict(parameters))
        waiting = iter(pairs.items())

        def submit(_number: int) -> Any:
            pair = next(waiting, None)
            return None if pair is None else client.submit(_work, *pair, pure=False)

        first = [future for future in map(submit, range(2 * devices)) if future is not None]
        done = distributed.as_completed(first, with_results=True)
        spans = []
        for _, (_, started, finished) in done:
            spans.append(Span(started, finished, time.time()))
            following = submit(0)
            if following is not None:
                done.add(following)
        return spans


PEERS: Mapping[str, Callable[[Mapping[str, bytes], Mapping[str, Any], int, Path], list[Span]]] = {
    PROCESSES: process_pool,
    RAY: ray_actor_pool,
    RAY_KEEPING: ray_keeping,
    DASK: dask_distributed,
}

# In a process of a pool: its device, and the barrier at which all its processes wait.
_devices: list[Devices] = []
_together: list[Barrier] = []


def _begin(parameters: Mapping[str, Any], together: Barrier | None = None) -> None:
    _devices[:] = [Devices(parameters)]
    if together is not None:
        _together[:] = [together]


def _wait_for_all(_number: int) -> int:
    """Hold this process until all others have started, so that each gets one call."""
    return _together[0].wait(_START_SECONDS)


def _work(key: str, image: bytes) -> tuple[bytes, float, float]:
    return _devices[0].work(key, image)


def _main(job: Path) -> None:
    content = json.loads(job.read_text(encoding="utf-8"))
    pairs = read_benchmark(Path(content["data"])).pairs
    spans = PEERS[content["peer"]](pairs, content["parameters"], content["devices"], job.parent)
    (job.parent / "spans.json").write_text(json.dumps([astuple(span) for span in spans]), encoding="utf-8")


if __name__ == "__main__":
    # By its real name: objects that are pickled for other processes must not be in ``__main__``.
    importlib.import_module("scripts.bench.peer_processes")._main(Path(sys.argv[1]))
