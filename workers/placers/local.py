"""Workers on this machine, as children of the launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

from protocol.joined import worker_card
from protocol.processes import has_ended, open_pidfd
from workers.placers.declaration import Order, Placed, PlacementError, Placer, PlacerType
from workers.spawn import spawn

DECLARATION = PlacerType(
    name="local",
    meaning="This machine.",
    target="workers.placers.local:LocalPlacer",
    elsewhere=False,
)


class LocalPlacer(Placer):
    """Starts child processes, each in a session of its own."""

    def start(self, order: Order) -> LocalProcess:
        try:
            return LocalProcess(spawn(order.plan, order.arguments, order.log))
        except OSError as error:
            raise PlacementError(f"{order.plan.command[0]} cannot be started: {error}") from error

    def adopt(self, worker_id: str, incarnation: str) -> AdoptedProcess | None:
        card = worker_card(worker_id, incarnation)
        process = open_pidfd(card.pid, card.pid_create_time) if card is not None else None
        return AdoptedProcess(card.pid, process) if card is not None and process is not None else None


class LocalProcess(Placed):
    """A child process. Its Python may be run by another program, such as conda: both are in one process group."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._pidfd = os.pidfd_open(popen.pid)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def descriptor(self) -> int:
        return self._pidfd

    def exit_code(self) -> int | None:
        return self._popen.poll()

    def end(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._popen.poll() is None:  # the group of a child that was not waited for cannot be another's
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)

    def close(self) -> None:
        self._popen.wait()
        os.close(self._pidfd)


class AdoptedProcess(Placed):
    """A process that an earlier launcher has started. Nobody can wait for its exit code."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self._pid = pid
        self._pidfd = pidfd

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def descriptor(self) -> int:
        return self._pidfd

    def exit_code(self) -> int | None:
        return 1 if has_ended(self._pidfd) else None

    def end(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        os.close(self._pidfd)
