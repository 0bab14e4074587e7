"""Admits known keys to the sockets of a context that have CURVE.

pyzmq's own authenticator answers libzmq in a thread. If that thread ends, nobody gets in any more: sockets enforce
their domain (``ZMQ_ZAP_ENFORCE_DOMAIN``), without which any key would.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

import zmq

from protocol.keys import DOMAIN

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
        from zmq.auth.thread import ThreadAuthenticator  # noqa: PLC0415 - its asyncio is a tenth of a worker's imports

        self.allowed = frozenset(allowed)
        self._is_new = is_new
        self._authenticator = ThreadAuthenticator(context, log=_log)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(DOMAIN, self)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether this key may connect; called by the authenticator."""
        public = key.decode()
        return domain == DOMAIN and (public in self.allowed or self._is_new(public))

    def close(self) -> None:
        """Admit nobody any more. Call this before the context is terminated."""
        self._authenticator.stop()
