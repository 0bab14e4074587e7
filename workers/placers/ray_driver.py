"""The process that talks to a Ray cluster for one pool: ``python -m workers.placers.ray_driver``.

Calls to Ray block, and a process that has lost its cluster's head for a minute is ended by Ray: so this is not done in
the launcher. Requests come on standard input, reports go to standard output (``ray_messages``). Workers outlive this
process: their actors are detached.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any, Literal

import msgspec

from protocol.plan import ENVIRONMENT_BEFORE
from workers.placers import ray_actor
from workers.placers.declaration import duration
from workers.placers.ray_messages import (
    Close,
    Connect,
    Connected,
    Ended,
    Leave,
    Place,
    Report,
    Request,
    Signal,
    Started,
    Unreachable,
    Waits,
)
from workers.placers.ray_resources import lacking

log = logging.getLogger("warmbench.ray")

_TURN_SECONDS = 0.1
_REPORT_SECONDS = 1.0
_LOG_AFTER_SECONDS = 10.0
_LOG_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
"""How long an actor may take to answer what needs no time."""
_STOP_SECONDS = 1.0
"""How long an actor that does not run yet may take to end what it may have started."""
_CLOSE_SECONDS = 12.0
_LEAST_OBJECT_STORE = 80 << 20
"""Nothing goes through Ray's object store."""

Send = Callable[[Report], None]


class Actor:
    """The actor of one worker. ``ended``: there is nothing to watch any more."""

    def __init__(self, ray: Any, kind: Any, connect: Connect, order: Place, send: Send) -> None:
        self.order = order
        self.ended = False
        self._ray = ray
        self._kind = kind
        self._name = f"{connect.prefix}{order.worker_id}"
        self._namespace = connect.namespace
        self._send = send
        self._handle: Any = None
        self._answer: Any = None
        self._kill_at: float | None = None
        self._reported_at = 0.0
        self._begun = time.monotonic()
        self._log_at = self._begun + _LOG_AFTER_SECONDS
        self._step: Literal["asking", "replacing", "starting", "running"] = "asking"
        self._since = self._begun
        if order.started:
            self._ask()
        else:
            self._create()

    def _next(self, step: Literal["asking", "replacing", "starting", "running"], answer: Any) -> None:
        self._step, self._answer, self._since = step, answer, time.monotonic()

    def _create(self) -> None:
        order = self.order
        options = {
            "name": self._name,
            "namespace": self._namespace,
            "lifetime": "detached",
            "num_cpus": order.cpus,
            "num_gpus": order.gpus,
            "resources": order.resources or None,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        try:
            self._handle = self._kind.options(**options).remote(order.incarnation)
        except self._ray.exceptions.ActorAlreadyExistsError:
            self._ask()
            return
        except ValueError as error:
            self._end(1, f"Ray takes no such actor: {_first_line(error)}")
            return
        pid_file = f"{self._namespace}.{self._name}"
        arguments = (order.command, order.key_file, order.environment, ENVIRONMENT_BEFORE, pid_file)
        self._next("starting", self._handle.start.remote(*arguments))

    def _ask(self) -> None:
        """Ask the actor of this name whether it has this incarnation, which another driver may have started."""
        try:
            self._handle = self._ray.get_actor(self._name, namespace=self._namespace)
        except ValueError:
            if self.order.started:
                self._end(1, "its actor has ended")
            else:
                self._create()
            return
        self._next("asking", self._handle.about.remote(self.order.incarnation))

    @property
    def starts(self) -> bool:
        """Whether this process has asked for the actor, and its command does not run yet."""
        return self._step == "starting" and not self.ended

    def signal(self, number: int) -> None:
        """Send the worker's process a signal. If it has no answer to SIGKILL or has not started, its actor goes."""
        now = time.monotonic()
        if self._step == "running":
            self._handle.signal.remote(number)
            if number == signal.SIGKILL:
                self._kill_at = self._kill_at or now + _ANSWER_SECONDS
        elif not self.ended:
            self._handle.stop.remote()
            self._kill_at = self._kill_at or now + _STOP_SECONDS

    def update(self) -> None:
        """Take the answer that has come, report what it waits for, and go on when one does not come."""
        now = time.monotonic()
        if self._kill_at is not None and now > self._kill_at:
            self._end(-signal.SIGKILL)
        elif self._ray.wait([self._answer], timeout=0)[0]:
            try:
                self._take(self._ray.get(self._answer))
            except self._ray.exceptions.RayError as error:
                self._failed(error)
        elif self._step in ("asking", "replacing") and now - self._since > _ANSWER_SECONDS:
            self._failed(None)
        elif self._step == "starting" and now - self._reported_at > _REPORT_SECONDS:
            self._reported_at = now
            text = self._lacking(now)
            self._send(Waits(incarnation=self.order.incarnation, text=text))
            if now > self._log_at:
                self._log_at = now + _LOG_SECONDS
                log.warning("%s waits for %s", self.order.worker_id, text)

    def _take(self, answer: Any) -> None:
        if self._step == "replacing":
            self._failed(None)
        elif self._step == "asking" and answer is None:
            if self.order.started:
                self._end(1, "its actor has ended")
            else:
                self._next("replacing", self._handle.stop.remote())
        elif self._step == "running":
            self._end(int(answer))
        elif "error" in answer:
            self._end(127, answer["error"])
        else:
            self._send(Started(incarnation=self.order.incarnation, **answer))
            self._next("running", self._handle.wait.remote())

    def _failed(self, error: Exception | None) -> None:
        """Go on without an answer: the actor is gone or does not say anything."""
        if self._step in ("asking", "replacing") and not self.order.started:
            self._remove()
            self._create()
        else:
            self._end(1, f"Ray has lost its actor: {_first_line(error)}" if error else "its actor does not answer")

    def _lacking(self, now: float) -> str:
        wanted = {"GPU": self.order.gpus, "CPU": self.order.cpus, **self.order.resources}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return f"{lacking(wanted, nodes, self._ray.available_resources())}, for {duration(now - self._begun)}"

    def _end(self, code: int, reason: str | None = None) -> None:
        self.ended = True
        self._remove()
        self._send(Ended(incarnation=self.order.incarnation, code=code, reason=reason))

    def _remove(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(Exception):  # whatever Ray says, it is gone or goes
                self._ray.kill(self._handle, no_restart=True)


class Driver:
    """The loop of the process."""

    def __init__(self, ray: Any, connect: Connect, requests: queue.SimpleQueue[Request], send: Send) -> None:
        ray.cloudpickle.register_pickle_by_value(ray_actor)
        self._ray = ray
        self._kind = ray.remote(ray_actor.WarmbenchWorker)
        self._connect = connect
        self._requests = requests
        self._send = send
        self._actors: dict[str, Actor] = {}

    def run(self) -> None:
        """Work until the pool ends, or its launcher."""
        while self._handle_requests():
            self._update()

    def _handle_requests(self) -> bool:
        """Wait for requests for one turn; return whether to go on."""
        timeout: float | None = _TURN_SECONDS
        with contextlib.suppress(queue.Empty):
            while True:
                request = self._requests.get(timeout=timeout)
                timeout = 0
                match request:
                    case Place():
                        actor = Actor(self._ray, self._kind, self._connect, request, self._send)
                        self._actors[request.incarnation] = actor
                    case Signal() if request.incarnation in self._actors:
                        self._actors[request.incarnation].signal(request.number)
                    case Close():
                        self._end(self._actors)
                        return False
                    case Leave():
                        self._update()
                        # Nobody else can tell them what to run.
                        self._end({name: actor for name, actor in self._actors.items() if actor.starts})
                        return False
        return True

    def _update(self) -> None:
        for incarnation, actor in tuple(self._actors.items()):
            if not actor.ended:
                actor.update()
            if actor.ended:
                del self._actors[incarnation]

    def _end(self, actors: Mapping[str, Actor]) -> None:
        ending = tuple(actors.values())
        for actor in ending:
            actor.signal(signal.SIGKILL)
        deadline = time.monotonic() + _CLOSE_SECONDS
        while not all(actor.ended for actor in ending) and time.monotonic() < deadline:
            self._update()
            time.sleep(_TURN_SECONDS)


def main() -> int:
    """Connect, and work until the pool ends."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # Ray prints
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def send(report: Report) -> None:
        with contextlib.suppress(BrokenPipeError):
            reports.write(msgspec.json.encode(report) + b"\n")

    connect = msgspec.json.decode(sys.stdin.buffer.readline(), type=Connect)
    ray: Any = importlib.import_module("ray")
    try:
        cluster = _connect(ray, connect)
    except Exception as error:  # noqa: BLE001 - Ray raises errors of many kinds; each ends up in the worker's reason
        send(Unreachable(f"Ray cluster {connect.address or 'of its own'}: {_first_line(error)}"))
        ray.shutdown()
        return 1
    send(Connected(cluster))
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    last: Request = Leave() if connect.address is not None else Close()
    threading.Thread(target=_read, args=(sys.stdin.buffer, requests, last), daemon=True).start()
    Driver(ray, connect, requests, send).run()
    ray.shutdown()
    return 0


def _connect(ray: Any, connect: Connect) -> str:
    options: dict[str, Any] = {"namespace": connect.namespace, "log_to_driver": False, "logging_level": "WARNING"}
    if connect.address is not None:
        return str(ray.init(connect.address, **options).address_info.get("gcs_address") or connect.address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options |= {"num_cpus": max(os.cpu_count() or 1, int(connect.cpus + 1)), "include_dashboard": False}
    return str(ray.init("local", object_store_memory=_LEAST_OBJECT_STORE, **options).address_info["gcs_address"])


def _read(stream: IO[bytes], requests: queue.SimpleQueue[Request], last: Request) -> None:
    """Without its launcher, a cluster of the pool's own ends; elsewhere, workers wait for the next launcher."""
    for line in stream:
        requests.put(msgspec.json.decode(line, type=Place | Signal | Close))
    requests.put(last)


def _first_line(error: Exception | None) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:500]


if __name__ == "__main__":
    exit_code = main()
    logging.shutdown()
    os._exit(exit_code)  # the thread that reads standard input may hold its lock
