"""A judge's server that a worker starts, waits for and stops (``server.command``).

The server runs under a guard (``guard``), which ends it with all its processes when the worker ends, however
that happens. If the server ends by itself or hangs, the worker ends, with the server's last lines as its reason: its
launcher starts both anew, and the requests that were in flight are made again like those of any worker that died.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from protocol.plan import ENVIRONMENT_BEFORE
from workers.interface import ModelError, WorkerContext
from workers.models.declaration import Conflict, Key
from workers.models.served.guard import STOP

_log = logging.getLogger(__name__)

_PORT = "{port}"
_READY = "/health"
_TERM_SECONDS = 5.0
"""How long it may take to end after SIGTERM: the launcher kills a worker that takes 10 seconds to end."""
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
_HEALTH_SECONDS = 5.0
"""How long one answer to the question whether it is ready may take, from its first byte to its last."""
_HUNG_SECONDS = 60.0
"""A server that was ready, and then did not answer this question for so long, hangs."""
_LOOKS = 6
"""How often it is asked in that time."""
_OK = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9]\b")
_MOST_STATUS_BYTES = 4096
_MOST_LOG_BYTES = 256 * 2**20
_LAST_BYTES = 2000
"""How much of the end of the server's log is part of an error."""

_FILLED_IN = f"`{_PORT}` is filled in."


def _conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    if not values["command"]:
        if values["port"] is not None or values["env"] or values["ready"] != _READY:
            yield Conflict((("command",),), "is missing", "write the server's command as a list of words")
    elif values["port"] is None and not any(_PORT in word for word in values["command"]):
        yield Conflict((("command",),), f"has no {_PORT}", f"write {_PORT} where the server takes its port, or `port`")


SERVER_KEY = Key(
    "server",
    "mapping",
    None,
    "A server to start, watch and stop. Its API is at `http://127.0.0.1:PORT/v1`; `base_url` is left out.",
    "load",
    later=True,
    keys=(
        Key("command", "list", (), f"Its command, a list of words (no shell). {_FILLED_IN}", "load", high=1000),
        Key("env", "mapping", None, f"Variables of its environment, beside the launcher's. {_FILLED_IN}", "start"),
        Key("port", "int", None, "Its port; left out: a free one.", "start", low=1, high=65_535),
        Key("ready", "text", _READY, "The path that answers 2xx once it is ready.", "start", pattern=r"^/[^\s#]*$"),
        Key(
            "start_timeout_seconds",
            "float",
            1800.0,
            "How long it may take until it is ready.",
            "start",
            low=1,
            high=86_400,
        ),
    ),
    rules=(_conflicts,),
)


class ServerSettings(Struct, frozen=True, kw_only=True):
    """The keys of ``server``."""

    command: Annotated[list[str], Meta(min_length=1)]
    env: dict[str, str | int | float] = {}
    port: int | None = None
    ready: str = _READY
    start_timeout_seconds: float = 1800.0


def read_server_settings(parameters: Mapping[str, Any]) -> ServerSettings:
    """Check the keys of ``server``.

    Raises:
        ModelError: of kind ``config``, with the key.
    """
    try:
        return msgspec.convert(parameters, ServerSettings)
    except msgspec.ValidationError as error:
        raise ModelError("config", f"reward_model.params.server: {error}") from error


class ServedProcess:
    """A server, from ``start`` to ``close``."""

    def __init__(
        self,
        settings: ServerSettings,
        context: WorkerContext,
        *,
        term_seconds: float = _TERM_SECONDS,
        hung_seconds: float = _HUNG_SECONDS,
    ) -> None:
        self._settings = settings
        self._hung_seconds = hung_seconds
        self._term_seconds = term_seconds
        self._context = context
        self._log = context.folder / f"{context.name or 'reward'}-server.log"
        self._port = settings.port or 0
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._closing = self._hangs = False

    @property
    def base_url(self) -> str:
        """The address of its API, once it is started."""
        return f"http://127.0.0.1:{self._port}/v1"

    def has_ended(self) -> bool:
        """Return whether it has ended by itself or hangs, so that the worker ends too. For any thread."""
        guard = self._guard
        return guard is not None and (self._hangs or guard.poll() is not None) and not self._closing

    def start(self) -> None:
        """Start it, and return when it is ready. All that ``close`` does is done if this raises.

        Raises:
            ModelError: of kind ``server``: it cannot be started, ends, or takes too long; with the end of its log.
        """
        self._port = self._free_port()
        try:
            self._launch()
            self._wait()
        except BaseException:
            self.close()
            raise
        assert self._guard is not None  # noqa: S101 - just launched
        threading.Thread(target=self._watch, args=(self._guard,), name="server", daemon=True).start()

    def close(self) -> None:
        """Stop it with all its processes: SIGTERM, then SIGKILL."""
        self._closing = True
        guard, self._guard = self._guard, None
        if guard is None or guard.stdin is None:
            return
        with contextlib.suppress(OSError):
            guard.stdin.write(STOP)
            guard.stdin.flush()
        try:
            guard.wait(2 * self._term_seconds + 1)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()
        self._kill_group(guard)
        for pipe in (guard.stdin, guard.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    # -- inside

    def _free_port(self) -> int:
        """The port for it. What listens there already would answer in its place, until it has ended."""
        deadline = time.monotonic() + 2 * self._term_seconds  # that of a worker that was killed may still be ending
        while True:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended do not count
                try:
                    probe.bind(("127.0.0.1", self._settings.port or 0))
                    port: int = probe.getsockname()[1]
                    return port
                except OSError as error:
                    if time.monotonic() > deadline:
                        text = f"port {self._settings.port} can't be used: {error.strerror}"
                        hint = "end what uses it, or leave out `port` for a free one"
                        raise ModelError("server", f"server.port: {text}: {hint}") from error
            self._context.progressed()
            time.sleep(_FIRST_WAIT)

    def _launch(self) -> None:
        self._guard = guard = subprocess.Popen(
            [sys.executable, "-m", "workers.models.served.guard", str(self._log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert guard.stdin is not None and guard.stdout is not None  # noqa: S101, PT018 - they are pipes
        order = {
            "command": self._command(),
            "environment": self._environment(),
            "log": str(self._log),
            "most_log_bytes": _MOST_LOG_BYTES,
            "term_seconds": self._term_seconds,
        }
        _log.info("the server is started on port %d; its log: %s", self._port, self._log)
        guard.stdin.write(json.dumps(order).encode() + b"\n")
        guard.stdin.flush()
        report = json.loads(guard.stdout.readline() or b"{}")
        if "pid" not in report:
            raise ModelError("server", f"server.command cannot be run: {report.get('error', 'its guard has ended')}")
        self._pid = report["pid"]

    def _command(self) -> list[str]:
        return [word.replace(_PORT, str(self._port)) for word in self._settings.command]

    def _environment(self) -> dict[str, str]:
        """The launcher's environment, with the settings': what is set for workers would take the server's GPUs."""
        result = dict(os.environ)
        before: dict[str, str | None] = json.loads(result.pop(ENVIRONMENT_BEFORE, "{}"))
        for name, value in before.items():
            result.pop(name, None)
            if value is not None:
                result[name] = value
        return result | {name: str(value).replace(_PORT, str(self._port)) for name, value in self._settings.env.items()}

    def _wait(self) -> None:
        deadline = time.monotonic() + self._settings.start_timeout_seconds
        wait = _FIRST_WAIT
        while not self._is_ready():
            self._context.progressed()
            if self._guard is not None and self._guard.poll() is not None:
                raise ModelError("server", f"server.command {self._how_it_ended(self._guard)}")
            if time.monotonic() > deadline:
                text = f"is not ready after {self._settings.start_timeout_seconds:g} s (start_timeout_seconds)"
                raise ModelError("server", f"server.command {text}: {self._settings.ready} gave no 2xx{self._last()}")
            time.sleep(wait)
            wait = min(_LONGEST_WAIT, 1.5 * wait)

    def _is_ready(self) -> bool:
        """Whether it answers with 2xx, within the time however slowly its bytes come."""
        deadline = time.monotonic() + _HEALTH_SECONDS
        host, answer = f"127.0.0.1:{self._port}", b""
        request = f"GET {self._settings.ready} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), _HEALTH_SECONDS) as link:
            link.sendall(request.encode())
            while b"\n" not in answer and len(answer) < _MOST_STATUS_BYTES and time.monotonic() < deadline:
                link.settimeout(max(0.001, deadline - time.monotonic()))
                part = link.recv(_MOST_STATUS_BYTES)
                if not part:
                    break
                answer += part
        return b"\n" in answer and _OK.match(answer) is not None

    def _watch(self, guard: subprocess.Popen[bytes]) -> None:
        reason = self._wait_for_trouble(guard)
        if not self._closing:
            _log.error("%s", reason)
            self._context.broken(reason)

    def _wait_for_trouble(self, guard: subprocess.Popen[bytes]) -> str:
        """Return what has become of the server, once it has ended or hangs."""
        well_at = time.monotonic()
        while not self._closing and time.monotonic() - well_at <= self._hung_seconds:
            with contextlib.suppress(subprocess.TimeoutExpired):
                guard.wait(self._hung_seconds / _LOOKS)
                self._kill_group(guard)
                return f"its server {self._how_it_ended(guard)}"
            if self._is_ready():
                well_at = time.monotonic()
        self._hangs = True
        return f"its server hangs: {self._settings.ready} gave no 2xx for {self._hung_seconds:g} s{self._last()}"

    def _kill_group(self, guard: subprocess.Popen[bytes]) -> None:
        """If the guard was killed, its server was killed with it, but not what that had started."""
        if self._pid and guard.returncode < 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)

    def _how_it_ended(self, guard: subprocess.Popen[bytes]) -> str:
        """Its exit code is the guard's, which is above 128 after a signal, as in a shell."""
        number = -guard.returncode if guard.returncode < 0 else guard.returncode - 128
        name = {each.value: each.name for each in signal.Signals}.get(number)
        return f"has ended ({name or f'exit code {guard.returncode}'}){self._last()}"

    def _last(self) -> str:
        """The end of its log, on one line."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            text = ""
        lines = [line for line in map(str.strip, text.splitlines()) if line]
        return f"; its log ({self._log}) ends: {' | '.join(lines[-5:])}" if lines else f"; its log: {self._log}"
