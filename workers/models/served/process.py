"""A server that workers start, wait for and stop (``server.command``).

The workers of one role of a pool share it, on each machine. It runs under a guard (``guard``), which ends it with all
its processes when the last of them ends, however that happens. If the server ends by itself or hangs, its workers end,
with the server's last lines as their reason: their launcher starts all anew, and the requests that were in flight are
made again like those of any worker that died.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from protocol.messages import ModelSpec, Role
from protocol.plan import ENVIRONMENT_BEFORE
from workers.interface import ModelError, WorkerContext
from workers.models.declaration import Conflict, Key
from workers.models.served.guard import END, LEAVE
from workers.models.served.guard_link import GuardLink, attach, clear
from workers.models.served.keys import OPENAI, SECTIONS

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


def server_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """What is wrong with the keys of a model behind a server together."""
    if values["model_name"] is None:
        yield Conflict((("model_name",),), "is missing", "write the model's name as its server calls it")
    if values["base_url"] != OPENAI and dict(values["server"] or {}).get("command"):
        message = "is given beside `server`, which has its own address"
        yield Conflict((("base_url",), ("server",)), message, "keep one of the two")


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


def served_process(spec: ModelSpec, context: WorkerContext) -> ServedProcess | None:
    """The server that a model is behind, if its workers start it; it is not started yet.

    Raises:
        ModelError: of kind ``config``, with the key that is wrong.
    """
    server = spec.params.get("server")
    if not server:
        return None
    try:
        return ServedProcess(spec.role, msgspec.convert(server, ServerSettings), context)
    except msgspec.ValidationError as error:
        raise ModelError("config", f"{SECTIONS[spec.role]}.params.server: {error}") from error


class ServedProcess:
    """A server, from ``start`` to ``close``."""

    def __init__(
        self,
        role: Role,
        settings: ServerSettings,
        context: WorkerContext,
        *,
        term_seconds: float = _TERM_SECONDS,
        hung_seconds: float = _HUNG_SECONDS,
    ) -> None:
        self._role = role
        self._settings = settings
        self._context = context
        self._hung_seconds = hung_seconds
        self._term_seconds = term_seconds
        self._link: GuardLink | None = None
        self._watching: threading.Thread | None = None
        self._closing = self._hangs = False

    @property
    def base_url(self) -> str:
        """The address of its API, once it is started."""
        return f"http://127.0.0.1:{self._link.port if self._link is not None else 0}/v1"

    def has_ended(self) -> bool:
        """Return whether it has ended by itself or hangs, so that the worker ends too. For any thread."""
        link = self._link
        if link is None or self._closing or not (self._hangs or link.ended):
            return False
        if link.replaced:  # then the worker, which was to load another model, ends only if it is used again
            self._context.outdated("its server was ended by another worker, for a server of another model")
        return True

    def start(self) -> None:
        """Start it, or connect to it if another worker has started it, and return when it is ready. All that ``close``
        does is done if this raises.

        Raises:
            ModelError: of kind ``server``: it cannot be started, ends, or takes too long; with the end of its log.
        """
        try:
            self._link = link = self._attach()
            self._wait(link)
        except BaseException:
            self.close(END)
            raise
        self._watching = threading.Thread(target=self._watch, args=(link,), name="server", daemon=True)
        self._watching.start()

    def close(self, word: bytes = LEAVE) -> None:
        """Leave it. The last worker stops it with all its processes: SIGTERM, then SIGKILL. With ``END``, any does."""
        self._closing = True
        link, self._link = self._link, None
        if link is None:
            return
        link.leave(self._patience, END if self._hangs else word)
        if self._watching is not None:
            self._watching.join()
        if link.guard_was_killed:
            clear(*self._place)
        link.close()

    # -- inside

    @property
    def _patience(self) -> float:
        """How long it takes at most to stop it."""
        return 2 * self._term_seconds + 1

    def _attach(self) -> GuardLink:
        settings, context = self._settings, self._context
        what = json.dumps([settings.command, settings.env, settings.port])
        server = hashlib.sha256(what.encode()).hexdigest()
        return attach(*self._place, server, self._order, self._patience, context.progressed)

    @property
    def _place(self) -> tuple[Path, str]:
        """The folder and the name of the guard's socket."""
        pool = hashlib.sha256(self._context.pool.encode()).hexdigest()[:12]
        return self._context.folder.parent, f".{self._role}-server-{pool}"

    def _order(self) -> dict[str, Any]:
        """What the guard is to start."""
        port = self._free_port()
        log = self._context.folder / f"{self._role}-server.log"
        _log.info("the server is started on port %d; its log: %s", port, log)
        return {
            "command": [word.replace(_PORT, str(port)) for word in self._settings.command],
            "environment": self._environment(port),
            "port": port,
            "log": str(log),
            "most_log_bytes": _MOST_LOG_BYTES,
            "term_seconds": self._term_seconds,
        }

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

    def _environment(self, port: int) -> dict[str, str]:
        """The launcher's environment, with the settings': what is set for workers would take the server's GPUs."""
        result = dict(os.environ)
        before: dict[str, str | None] = json.loads(result.pop(ENVIRONMENT_BEFORE, "{}"))
        for name, value in before.items():
            result.pop(name, None)
            if value is not None:
                result[name] = value
        return result | {name: str(value).replace(_PORT, str(port)) for name, value in self._settings.env.items()}

    def _wait(self, link: GuardLink) -> None:
        deadline = time.monotonic() + self._settings.start_timeout_seconds
        wait = _FIRST_WAIT
        while not self._is_ready(link.port):
            self._context.progressed()
            if time.monotonic() > deadline:
                text = f"is not ready after {self._settings.start_timeout_seconds:g} s (start_timeout_seconds)"
                raise ModelError("server", f"server.command {text}: {self._settings.ready} gave no 2xx{_last(link)}")
            if link.listen(wait):
                link.wait_for_guard(self._patience)
                raise ModelError("server", f"server.command {_how_it_ended(link)}")
            wait = min(_LONGEST_WAIT, 1.5 * wait)

    def _is_ready(self, port: int) -> bool:
        """Whether it answers with 2xx, within the time however slowly its bytes come."""
        deadline = time.monotonic() + _HEALTH_SECONDS
        host, answer = f"127.0.0.1:{port}", b""
        request = f"GET {self._settings.ready} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), _HEALTH_SECONDS) as connection:
            connection.sendall(request.encode())
            while b"\n" not in answer and len(answer) < _MOST_STATUS_BYTES and time.monotonic() < deadline:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                part = connection.recv(_MOST_STATUS_BYTES)
                if not part:
                    break
                answer += part
        return b"\n" in answer and _OK.match(answer) is not None

    def _watch(self, link: GuardLink) -> None:
        reason = self._wait_for_trouble(link)
        if self._closing:
            return
        if link.replaced:
            _log.info("the server was ended by another worker, for a server of another model")
        else:
            _log.error("%s", reason)
            self._context.broken(reason)

    def _wait_for_trouble(self, link: GuardLink) -> str:
        """Return what has become of the server, once it has ended or hangs."""
        well_at = time.monotonic()
        while not self._closing and time.monotonic() - well_at <= self._hung_seconds:
            if link.listen(self._hung_seconds / _LOOKS):
                if not self._closing:
                    link.wait_for_guard(self._patience)
                return f"its server {_how_it_ended(link)}"
            if self._is_ready(link.port):
                well_at = time.monotonic()
        self._hangs = not self._closing
        return f"its server hangs: {self._settings.ready} gave no 2xx for {self._hung_seconds:g} s{_last(link)}"


def _how_it_ended(link: GuardLink) -> str:
    code = -signal.SIGKILL if link.code is None else link.code
    name = {each.value: each.name for each in signal.Signals}.get(-code)
    return f"has ended ({name or f'exit code {code}'}){_last(link)}"


def _last(link: GuardLink) -> str:
    """The end of its log, on one line."""
    try:
        with link.log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            begins = link.log_begins if link.log_begins <= end else 0  # it began anew when it was too long
            file.seek(max(begins, end - _LAST_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        text = ""
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    return f"; its log ({link.log}) ends: {' | '.join(lines[-5:])}" if lines else f"; its log: {link.log}"
