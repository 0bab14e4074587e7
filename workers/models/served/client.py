"""Asks a server, in a thread with an event loop of its own.

`pacing` decides how many requests are in flight and when one is made again, `replies` reads what comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from protocol.messages import HOPELESS, ModelSpec, Usage
from workers.interface import ModelError
from workers.models.served.connection import Connection, Request
from workers.models.served.keys import OPENAI, RequestSettings, is_loopback, read_key
from workers.models.served.pacing import Pacing, Ticket, delay
from workers.models.served.process import ServedProcess
from workers.models.served.replies import MAX_REPLY, Answer, Failure

T = TypeVar("T")

log = logging.getLogger("warmbench.worker")

_TICK_SECONDS = 0.5
_LOG_SECONDS = 10.0
_END_SECONDS = 1.0
_REMEMBERED = 16
_HOPELESS_SECONDS = 3.0
"""How long after such a failure no request is made: longer than a run takes to end."""
_MOST_NOT_ACCEPTED = 3
"""After so many requests, none of which the server accepts, no more are made."""


@dataclass
class Meter:
    """What one judgement has taken so far."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str | None = None
    system_fingerprint: str | None = None

    def add(self, answer: Answer) -> None:
        """An answer came."""
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        self.model = answer.model or self.model
        self.system_fingerprint = answer.system_fingerprint or self.system_fingerprint

    @property
    def usage(self) -> Usage:
        return Usage(
            requests=self.requests,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            model=self.model,
            system_fingerprint=self.system_fingerprint,
        )


@dataclass
class _Asked:
    """Requests with the same settings, of one run or several. ``pending``: how many have not ended."""

    pending: int = 0
    answered: bool = False
    not_accepted: int = 0
    hopeless: Failure | None = None
    hopeless_until: float = 0.0

    def judge(self, failure: Failure) -> None:
        """Find out whether all others would fail like this one: by its kind, or because none was ever accepted."""
        self.not_accepted += failure.kind == "bad_request" and not self.answered
        if failure.kind in HOPELESS:
            self.hopeless = failure
        elif self.not_accepted >= _MOST_NOT_ACCEPTED:
            self.hopeless = Failure("not_accepted", failure.message)
        self.hopeless_until = time.monotonic() + _HOPELESS_SECONDS

    def fail_if_hopeless(self) -> None:
        """Raise ``ModelError`` if these requests need not be made."""
        if self.hopeless is not None:
            raise ModelError(self.hopeless.kind, self.hopeless.message)


class ServerClient:
    """The connection to one server. ``submit``, ``close`` and ``slots`` are for other threads, the rest for its own."""

    def __init__(self, spec: ModelSpec, served: ServedProcess | None = None, *, max_reply: int = MAX_REPLY) -> None:
        """``served`` is the workers' own server, if there is one: when it has ended, the worker is about to end.
        ``max_reply``: see ``Connection``.

        Raises:
            ModelError: of kind ``config``: there is no key.
        """
        base_url = served.base_url if served is not None else str(spec.params.get("base_url", OPENAI))
        host = urlsplit(base_url).hostname or ""
        is_local = is_loopback(host)
        key = read_key(spec, needed=not is_local)
        self.is_openai = host == urlsplit(OPENAI).hostname
        self._pacing = Pacing(1)
        self._asked: dict[bytes, _Asked] = {}
        self._waiting: deque[asyncio.Future[Ticket]] = deque()
        self._pending = self._resting = 0
        self._logged = -_LOG_SECONDS
        self._worker_ends = served.has_ended if served is not None else None
        self._random = random.Random()  # noqa: S311 - spreads requests, hides nothing
        self._progress: Callable[[], None] = lambda: None
        self._loop = asyncio.new_event_loop()
        self._connection = Connection(base_url, key, is_local=is_local, max_reply=max_reply)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._thread.start()

    @property
    def slots(self) -> int:
        """How many requests may be in flight now, with those beside them that wait to be made again."""
        return self._pacing.limit + self._resting

    def submit(self, work: Coroutine[Any, Any, T], progress: Callable[[], None]) -> Future[T]:
        """Have the thread do this; ``progress`` is called while it does."""
        self._progress = progress
        return asyncio.run_coroutine_threadsafe(self._counted(work), self._loop)

    def close(self) -> None:
        """Cancel everything and end the thread."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)

    # -- the thread

    def _run(self) -> None:
        ticks = self._loop.create_task(self._tick())
        try:
            self._loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(ticks, *tasks, return_exceptions=True))
            self._loop.run_until_complete(self._connection.close())
            self._loop.close()

    async def _tick(self) -> None:
        """Each request has a timeout of its own: this thread makes progress as long as its loop runs."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._pending:
                self._progress()

    async def _counted(self, work: Coroutine[Any, Any, T]) -> T:
        self._pending += 1
        try:
            return await work
        finally:
            self._pending -= 1

    async def check(self) -> None:
        """See ``Connection.check``."""
        await self._connection.check()

    async def server_version(self) -> str | None:
        """See ``Connection.version``."""
        return await self._connection.version()

    # -- requests

    async def ask(self, request: Request[T], settings: RequestSettings, meter: Meter) -> T | Failure:
        """Make a request, again where its failure may pass. ``meter`` counts what it takes.

        Raises:
            ModelError: every other request would fail like this one.
        """
        with self._begun(settings) as asked:
            result = await self._ask(request, settings, asked, meter)
        if isinstance(result, Answer):
            meter.add(result)
        return result

    async def _ask(self, request: Request[T], settings: RequestSettings, asked: _Asked, meter: Meter) -> T | Failure:
        failures = troubles = 0
        while True:
            asked.fail_if_hopeless()
            result = await self._attempt(request, settings, asked, meter)
            self._progress()
            if not isinstance(result, Failure):
                return result
            asked.fail_if_hopeless()
            failures, troubles = failures + 1, troubles + result.in_trouble
            if not result.again:
                return result
            await self._outlive_server(last=failures > settings.max_retries)
            if failures > settings.max_retries:
                return Failure(result.kind, f"{result.message} (request {failures}, the last that max_retries allows)")
            self._resting += 1
            try:
                await asyncio.sleep(
                    delay(min(troubles, self._pacing.failures_in_a_row), result.retry_after, self._random.random)
                )
            finally:
                self._resting -= 1

    async def _outlive_server(self, *, last: bool) -> None:
        """If the worker ends, wait for that: another worker makes the request again, and its failures are no reason
        to give it up. Before the ``last`` failure counts, the server's end has time to become known.
        """
        if self._worker_ends is None:
            return
        if last:
            await asyncio.sleep(_END_SECONDS)
        if self._worker_ends():
            await self._loop.create_future()

    @contextlib.contextmanager
    def _begun(self, settings: RequestSettings) -> Iterator[_Asked]:
        """What is known of requests with these settings; the first one that is made is alone."""
        name = msgspec.json.encode(settings)
        known = self._asked.get(name)
        if known is not None and known.hopeless is not None and time.monotonic() > known.hopeless_until:
            del self._asked[name]  # a run that asks now may have seen to it
        if name not in self._asked:
            for other in [one for one, asked in self._asked.items() if not asked.pending][:-_REMEMBERED]:
                del self._asked[other]
            self._asked[name] = _Asked()
            self._pacing.begin(settings.max_concurrency)
        asked = self._asked[name]
        asked.pending += 1
        try:
            yield asked
        finally:
            asked.pending -= 1

    async def _attempt(
        self, request: Request[T], settings: RequestSettings, asked: _Asked, meter: Meter
    ) -> T | Failure:
        ticket = await self._admitted()
        if asked.hopeless is not None:  # by now
            self._pacing.ended(ticket)
            self._admit()
            return asked.hopeless
        meter.requests += 1
        result: T | Failure | None = None
        try:
            result = await self._connection.post(request, settings.request_timeout_seconds)
            return result
        finally:
            if isinstance(result, Failure):
                asked.judge(result)
            if result is None or asked.hopeless is not None:
                self._pacing.ended(ticket)
            elif isinstance(result, Failure) and result.kind == "bad_request" and not asked.answered:
                self._pacing.ended(ticket)  # the next one is alone, too
            elif isinstance(result, Failure) and result.in_trouble:
                now = time.monotonic()
                self._pacing.refused(ticket, now, result.retry_after, too_many=result.too_many)
                self._log(result, now)
            else:
                self._pacing.answered(ticket)
                asked.answered = True
            self._admit()

    def _log(self, failure: Failure, now: float) -> None:
        """Say in the worker's log, now and then, why the server may be slow."""
        if now - self._logged > _LOG_SECONDS:
            self._logged = now
            log.warning("%s: %s; up to %d requests in flight now", failure.kind, failure.message, self._pacing.limit)

    async def _admitted(self) -> Ticket:
        waiting: asyncio.Future[Ticket] = self._loop.create_future()
        self._waiting.append(waiting)
        self._admit()
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._pacing.ended(waiting.result())
                self._admit()
            raise

    def _admit(self) -> None:
        """Let as many go on as may."""
        now = time.monotonic()
        while self._waiting:
            if self._waiting[0].done():  # cancelled
                self._waiting.popleft()
                continue
            ticket = self._pacing.admit(now)
            if ticket is None:
                break
            self._waiting.popleft().set_result(ticket)
        pause = self._pacing.pause(now)
        if self._waiting and pause > 0:
            self._loop.call_later(pause, self._admit)
