"""A short conversation of a command with a launcher."""

from __future__ import annotations

import time
import uuid
from contextlib import closing

import zmq

from protocol import messages as m
from protocol.codec import ProtocolError
from scheduler.pool.address import PoolAddress, PoolUnavailableError
from scheduler.pool.client import PoolClient

_ANSWER_SECONDS = 10.0


class PoolSession:
    """A short conversation with a launcher."""

    def __init__(self, address: PoolAddress) -> None:
        """Raises ``PoolUnavailableError``."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self.client = PoolClient(self._context, address, f"command-{uuid.uuid4().hex[:8]}")
        except PoolUnavailableError:
            self._context.term()
            raise

    def next_status(self, seconds: float = _ANSWER_SECONDS) -> m.PoolStatus | None:
        """Return the next status, or None if the launcher has ended.

        Raises:
            PoolUnavailableError: it does not answer, or speaks another protocol.
        """
        deadline = time.monotonic() + seconds
        poller = zmq.Poller()
        self.client.register(poller)
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poller.poll(int(left * 1000) + 1))
            if self.client.link.socket in ready:
                try:
                    received = self.client.link.receive()
                except ProtocolError as error:
                    raise PoolUnavailableError(f"the launcher sent an invalid message: {error}") from error
                if received is not None and isinstance(received[0], m.PoolStatus):
                    return received[0]
                if received is not None and isinstance(received[0], m.Goodbye):
                    return None
                if received is not None and isinstance(received[0], m.Refused):
                    raise PoolUnavailableError(received[0].message)
            elif self.client.has_ended(ready):
                return None
        address = self.client.address
        if address.keys is None:
            raise PoolUnavailableError(f"the launcher of pool {address.name} does not answer (is it stopped?)")
        raise PoolUnavailableError(f"the launcher of pool {address.name} does not answer: {address.why_no_answer()}")

    def close(self) -> None:
        """Disconnect."""
        self.client.close()
        self._context.term()


def check_answer(address: PoolAddress) -> None:
    """Raise ``PoolUnavailableError`` if no launcher answers there, or it speaks another protocol."""
    with closing(PoolSession(address)) as session:
        session.next_status()
