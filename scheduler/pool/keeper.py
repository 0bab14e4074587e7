"""Keeps a pool up between the runs of one command: it ends with the command, however that ends."""

from __future__ import annotations

import logging
import threading
import uuid

import zmq

from protocol import messages as m
from protocol.codec import ProtocolError
from scheduler.pool.address import PoolAddress, PoolUnavailableError
from scheduler.pool.client import PoolClient, PoolEnd

log = logging.getLogger("warmbench")

_ANSWER_SECONDS = 10.0
_POLL_MS = 100
_BEAT_SECONDS = 1.0
_POOL_END_SECONDS = 20.0


class PoolKeeper:
    """A client of the pool, without a lease, in a thread of its own."""

    def __init__(self) -> None:
        self._kept: PoolAddress | None = None
        self._thread: threading.Thread | None = None
        self._leave = threading.Event()
        self._answered = threading.Event()
        self._end: PoolEnd | None = None
        self._run = ""
        self._statuses: list[m.PoolStatus] = []
        """The first one, of before this client kept the pool, and the last one."""

    def keep(self, pool: PoolAddress, run: str) -> None:
        """Keep this pool up, instead of an earlier one, beyond this run. Returns when its launcher knows that."""
        self._run = run
        if pool == self._kept and self._thread is not None and self._thread.is_alive():
            return
        self.close()
        self._kept, self._leave, self._answered = pool, threading.Event(), threading.Event()
        self._statuses = []
        self._thread = threading.Thread(target=self._stay, args=(pool,), name="pool-keeper", daemon=True)
        self._thread.start()
        if not self._answered.wait(_ANSWER_SECONDS):
            log.warning("Pool %s does not answer: it may end between two runs", pool.name)

    def close(self) -> None:
        """Leave the pool, and wait for its end if nobody else needs it."""
        if self._thread is None:
            return
        self._leave.set()
        self._thread.join()
        self._thread = None
        if self._end is not None:
            if not self._needed_by_others():
                self._end.wait(_POOL_END_SECONDS)
            self._end.close()
            self._end = None

    def _needed_by_others(self) -> bool:
        if not self._statuses or self._statuses[0].keep:
            return True
        last = self._statuses[-1]
        return any(run != self._run for run in (*last.holders, *last.waiting))

    def _stay(self, pool: PoolAddress) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            client = PoolClient(context, pool, f"keeper-{uuid.uuid4().hex[:8]}")
        except PoolUnavailableError:
            context.term()
            self._answered.set()  # the run finds out as well
            return
        self._end = client.end()
        client.request_lease(None, keep_warm=False)
        poller = zmq.Poller()
        client.register(poller)
        while not self._leave.is_set():
            ready = dict(poller.poll(_POLL_MS))
            if client.has_ended(ready):
                break
            client.beat(_BEAT_SECONDS)
            self._read(client)
        client.close()
        context.destroy(linger=500)

    def _read(self, client: PoolClient) -> None:
        try:
            while (received := client.link.receive()) is not None:
                status = received[0]
                if isinstance(status, m.PoolStatus):
                    self._statuses = [*self._statuses[:1], status]
                    if status.keep:
                        self._answered.set()
        except ProtocolError as error:
            log.debug("the launcher sent an invalid message: %s", error)
