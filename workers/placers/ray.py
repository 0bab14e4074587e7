"""Workers on the nodes of a Ray cluster: one detached, named actor each, which runs the worker's command.

Ray places and watches; nothing else goes through it. One process per pool talks to it (``ray_driver``) and is started
again if it ends; this side only reads what it reports.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import msgspec

from protocol.keys import KeyFileError, PoolKeys, read_client_keys, write_secret
from protocol.plan import PoolPlan
from workers.placers.declaration import Order, Placed, PlacementError, Placer, PlacerType
from workers.placers.ray_messages import (
    Close,
    Connected,
    Ended,
    Place,
    Report,
    Request,
    Signal,
    Started,
    Unreachable,
    Waits,
)
from workers.placers.ray_options import KEYS, connection, placement

log = logging.getLogger("warmbench.launcher")

_CLOSE_SECONDS = 20.0
_AGAIN_SECONDS = (1.0, 30.0)
"""The pause before the process that talks to Ray is started again: at first, and at most."""

DECLARATION = PlacerType(
    name="ray",
    meaning="A Ray cluster: one actor for each worker.",
    target="workers.placers.ray:RayPlacer",
    keys=KEYS,
    packages={"ray": "2.50"},
)


class RayPlacer(Placer):
    """The side of the launcher."""

    def __init__(self, plan: PoolPlan, folder: Path) -> None:
        super().__init__(plan, folder)
        if find_spec("ray") is None:
            raise PlacementError("the placer ray needs the package ray: pip install 'warmbench[ray]'")
        self._options = plan.placer_options
        self._key_file = self._options.get("key_file_on_nodes") or str(PoolKeys(folder).join_key)
        self._workers: dict[str, RayWorker] = {}
        self._lock = threading.Lock()
        self._driver: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._was_connected = False
        self.connected = False

    def start(self, order: Order) -> RayWorker:
        if self._thread is None:
            self._share_key()
            self._thread = threading.Thread(target=self._keep_driver, name="ray", daemon=True)
            self._thread.start()
        worker = RayWorker(self, placement(self.plan, order, self._key_file))
        with self._lock:
            self._workers[order.incarnation] = worker
            self._send(worker.place)
        return worker

    def _share_key(self) -> None:
        """Put the key of workers where the nodes look for it, if that is a folder of this machine too."""
        path, keys = Path(self._key_file).expanduser(), PoolKeys(self.folder)
        try:
            own = read_client_keys(keys.join_key)
            if path.exists():
                shared = read_client_keys(path)
                if shared.server != own.server:
                    raise PlacementError(f"the key file {path} is another pool's: remove it, or name another one")
                if keys.allowed().get(shared.public) != "join":
                    raise PlacementError(f"the key in {path} does not let workers join: remove the file")
            elif path.parent.is_dir():
                write_secret(path, own)
                log.info("the nodes' key file is %s", path)
        except (OSError, KeyFileError) as error:
            raise PlacementError(f"{error}") from error

    # -- the process that talks to Ray

    def _keep_driver(self) -> None:
        """Start it, read its reports, and start it again if it ends. Runs in a thread."""
        pause, longest = _AGAIN_SECONDS
        command = [sys.executable, "-m", "workers.placers.ray_driver"]
        while True:
            with self._lock:
                if self._closing.is_set():
                    return
                driver = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
                )
                self._driver = driver
                self._send(connection(self.plan, PoolKeys(self.folder).launcher_pair().public))
                for worker in self._workers.values():
                    self._send(msgspec.structs.replace(worker.place, started=worker.runs))
            assert driver.stdout is not None  # noqa: S101 - a pipe was asked for
            for line in driver.stdout:
                self._take(msgspec.json.decode(line, type=Report))
                pause = _AGAIN_SECONDS[0] if self.connected else pause
            code = driver.wait()
            self.connected = False
            if self._closing.is_set():
                return
            log.warning("the connection to Ray was lost (exit code %d): connecting again", code)
            if not self._was_connected:
                self._take(Unreachable("it ended while connecting"))
            self._closing.wait(pause)
            pause = min(longest, pause * 2)

    def _send(self, request: Request) -> None:
        """Write a request; the caller holds the lock. Without the process it is lost, as all are sent to the next."""
        if self._driver is not None and self._driver.stdin is not None:
            with contextlib.suppress(OSError):
                self._driver.stdin.write(msgspec.json.encode(request) + b"\n")
                self._driver.stdin.flush()

    def _take(self, report: Report) -> None:
        match report:
            case Connected(cluster=cluster):
                self.connected = self._was_connected = True
                log.info("connected to the Ray cluster at %s", cluster)
            case Unreachable(reason=reason):
                with self._lock:
                    waiting = [] if self._was_connected else list(self._workers)
                for incarnation in waiting:
                    self._take(Ended(incarnation=incarnation, code=1, reason=reason))
            case Ended(incarnation=incarnation):
                with self._lock:
                    worker = self._workers.pop(incarnation, None)
                if worker is not None:
                    worker.ended = report
            case Started(incarnation=incarnation) | Waits(incarnation=incarnation):
                with self._lock:
                    worker = self._workers.get(incarnation)
                if worker is not None:
                    worker.take(report)

    def signal(self, incarnation: str, number: int) -> None:
        """Send a worker's process a signal. Without a connection, it counts as ended: it will find that it is none."""
        with self._lock:
            worker = self._workers.get(incarnation)
            if worker is None:
                return
            if self.connected:
                self._send(Signal(incarnation=incarnation, number=number))
            elif number == signal.SIGKILL or not worker.runs:
                del self._workers[incarnation]
                worker.ended = Ended(incarnation=incarnation, code=-number, reason="there is no connection to Ray")

    def close(self) -> None:
        with self._lock:
            self._closing.set()
            driver = self._driver
            self._send(Close())
        if driver is not None:
            try:
                driver.wait(_CLOSE_SECONDS if self.connected else 1)
            except subprocess.TimeoutExpired:
                log.warning("the connection to Ray did not end: killed")
                driver.kill()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)


class RayWorker(Placed):
    """One worker's actor. Its attributes are set by the placer's thread."""

    def __init__(self, placer: RayPlacer, place: Place) -> None:
        self.place = place
        self.ended: Ended | None = None
        self._placer = placer
        self._started: Started | None = None
        self._waits: str | None = None

    @property
    def runs(self) -> bool:
        """Whether its process was started."""
        return self._started is not None

    def take(self, report: Started | Waits) -> None:
        """Take the news of the process that talks to Ray."""
        if isinstance(report, Waits):
            self._waits = report.text
            return
        self._started, self._waits = report, None
        where = (self.place.worker_id, report.host, report.pid, report.log)
        log.info("%s: its actor started it on %s (pid %d), its output goes to %s", *where)

    @property
    def waits_for(self) -> str | None:
        if self._started is not None or self.ended is not None:
            return None
        return self._waits or ("Ray to start its actor" if self._placer.connected else "the connection to Ray")

    @property
    def log(self) -> str | None:
        return f"{self._started.host}:{self._started.log}" if self._started is not None else None

    def exit_code(self) -> int | None:
        return None if self.ended is None else self.ended.code

    @property
    def reason(self) -> str | None:
        return None if self.ended is None else self.ended.reason

    def end(self) -> None:
        self._placer.signal(self.place.incarnation, signal.SIGTERM)

    def kill(self) -> None:
        self._placer.signal(self.place.incarnation, signal.SIGKILL)
