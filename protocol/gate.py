"""Admits known keys to the sockets of a context that have CURVE.

pyzmq's own authenticator answers libzmq in a thread. While that thread does not run, nobody gets in: sockets enforce
their domain (``ZMQ_ZAP_ENFORCE_DOMAIN``), without which any key would.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import zmq

from protocol.keys import DOMAIN

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

_log = logging.getLogger("warmbench.gate")
_log.setLevel(logging.ERROR)  # one line per foreign connection would let strangers fill the log


class Gate:
    """One context's admission. ``allowed`` may be replaced at any time; connections that are open stay."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        allowed: Collection[str] = (),
        is_new: Callable[[str], bool] = lambda _key: False,
    ) -> None:
        """``is_new``, which the authenticator's thread calls: whether a key may connect that ``allowed`` lacks."""
        self.allowed = frozenset(allowed)
        self._is_new = is_new
        self._context = context
        self._authenticator = self._start()

    def _start(self) -> ThreadAuthenticator:
        from zmq.auth.thread import ThreadAuthenticator  # noqa: PLC0415 - its asyncio is a tenth of a worker's imports

        authenticator = ThreadAuthenticator(self._context, log=_log)
        try:
            authenticator.start()
        except zmq.ZMQError:
            authenticator.stop()
            raise
        authenticator.configure_curve_callback(DOMAIN, self)
        return authenticator

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether this key may connect; called by the authenticator."""
        public = key.decode()
        return domain == DOMAIN and (public in self.allowed or self._is_new(public))

    def keep_open(self) -> None:
        """Start the authenticator again if it has ended: until then, nobody gets in. Call this now and then."""
        if self._authenticator.is_alive():
            return
        self.close()
        with contextlib.suppress(zmq.ZMQError):  # the last one's socket is being closed: the next call succeeds
            self._authenticator = self._start()
            _log.error("the authenticator had ended, so nobody could connect: it has been started again")

    def close(self) -> None:
        """Admit nobody any more. Call this before the context is terminated."""
        if not self._authenticator.is_alive() and self._authenticator.pipe is not None:
            self._authenticator.pipe.close(0)  # stopping it would wait for the thread to read from it
            self._authenticator.pipe = None  # type: ignore[assignment]  # as pyzmq does itself
        self._authenticator.stop()
