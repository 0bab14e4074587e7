"""Does to a run what its plan says, when the plan says so."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
import zmq

from tests.chaos.deeds import (
    Deed,
    Garbage,
    Injection,
    Interrupt,
    Kill,
    KillNode,
    Moment,
    Restart,
    Rows,
    Said,
    Stall,
    There,
    Trigger,
)
from tests.chaos.nodes import Machines
from tests.chaos.processes import Observed, endpoint_of, find_process, send_signal, wake

_LOOK_SECONDS = 0.015
_TWICE_SECONDS = 0.02


class Injector(threading.Thread):
    """Watches the schedulers of one part and injects the planned faults. ``done`` has those injected, in order."""

    def __init__(
        self,
        injections: Sequence[Injection],
        schedulers: Mapping[str, Observed],
        pool: Path,
        nodes: Machines | None = None,
        start_launcher: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(daemon=True)
        self._waiting = list(injections)
        self._schedulers = schedulers
        self._pool = pool
        self._nodes = nodes
        self._start_launcher = start_launcher
        self._over = threading.Event()
        self._later: list[tuple[float, psutil.Process, int]] = []
        self.done: list[Deed] = []

    @property
    def _watched(self) -> Observed:
        return next(iter(self._schedulers.values()))

    def run(self) -> None:
        """Until the part is over."""
        while (self._waiting or self._later) and not self._over.is_set():
            for injection in list(self._waiting):
                if self._is_due(injection.trigger) and self._do(injection.deed):
                    self._waiting.remove(injection)
                    self.done.append(injection.deed)
            self._do_later(self._watched.seconds)
            self._over.wait(_LOOK_SECONDS)
        self._do_later(float("inf"))

    def end(self) -> None:
        """End the part: stopped processes continue."""
        self._over.set()
        self.join()

    def _is_due(self, trigger: Trigger) -> bool:
        match trigger:
            case Moment(seconds):
                return self._watched.seconds >= seconds
            case Rows(event, count):
                return self._watched.new_rows(event) >= count
            case Said(text):
                return text in self._watched.text
            case There(who):
                return self._find(who) is not None

    def _find(self, who: str) -> psutil.Process | None:
        if who in self._schedulers:
            scheduler = self._schedulers[who]
            with contextlib.suppress(psutil.Error):
                return psutil.Process(scheduler.pid) if scheduler.running else None
            return None
        if self._nodes is not None and who.startswith("node-"):
            return self._nodes.find(who)
        return find_process(self._pool, who, self._watched.pid)

    def _do(self, deed: Deed) -> bool:
        """Whether it could be done; if not, it is tried again as long as the part lasts."""
        if isinstance(deed, Garbage):
            endpoint = endpoint_of(self._pool, deed.who)
            if endpoint is not None:
                send_garbage(endpoint, deed.seed)
            return endpoint is not None
        if isinstance(deed, KillNode):
            return self._nodes is not None and self._nodes.kill(deed.who)
        process = self._find(deed.who)
        if process is None:
            return False
        now = self._watched.seconds
        match deed:
            case Kill():
                return send_signal(process, signal.SIGKILL)
            case Restart():
                killed = send_signal(process, signal.SIGKILL)
                if killed:
                    self._start_launcher()
                return killed
            case Stall(_, seconds):
                self._later.append((now + seconds, process, signal.SIGCONT))
                return send_signal(process, signal.SIGSTOP)
            case Interrupt(_, number, times):
                self._later += [(now + turn * _TWICE_SECONDS, process, number) for turn in range(1, times)]
                return send_signal(process, number)

    def _do_later(self, now: float) -> None:
        for entry in list(self._later):
            if entry[0] <= now:
                self._later.remove(entry)
                if entry[2] == signal.SIGCONT:
                    wake(entry[1])
                else:
                    send_signal(entry[1], entry[2])


def send_garbage(endpoint: str, seed: int) -> None:
    """A stranger connects and sends frames that are no messages, or nearly some."""
    dice = random.Random(seed)  # noqa: S311 - repeatable is what it has to be
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context, context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.LINGER, 200)
        stranger.connect(endpoint)
        for _ in range(dice.randint(5, 60)):
            frames = [dice.randbytes(dice.choice((0, 1, 20, 3000))) for _ in range(dice.randint(1, 5))]
            if dice.random() < 0.3:
                frames[0] = b"\x82\xa4type\xa4Edit\xa3run" + frames[0]
            with contextlib.suppress(zmq.Again):
                stranger.send_multipart(frames, zmq.NOBLOCK)
