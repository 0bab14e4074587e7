"""Whether the process behind a TCP port has ended: its machine then refuses connections.

A machine that is cut off, or has ended, refuses nothing, so silence alone does not tell which of them it is.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from urllib.parse import urlsplit


class Probe:
    """One attempt to connect, which never blocks."""

    def __init__(self, endpoint: str) -> None:
        """``endpoint`` is ``tcp://ADDRESS:PORT``; of anything else nothing is known."""
        self._socket: socket.socket | None = None
        self._error = 0
        with contextlib.suppress(ValueError, OSError):
            parts = urlsplit(endpoint)
            address = ipaddress.ip_address(parts.hostname or "")
            self._socket = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
            self._socket.setblocking(False)
            self._error = self._socket.connect_ex((str(address), parts.port or 0))

    @property
    def refused(self) -> bool:
        """Whether the connection has been refused by now."""
        if self._error in (0, errno.EINPROGRESS) and self._socket is not None:
            self._error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return self._error == errno.ECONNREFUSED

    def close(self) -> None:
        """End the attempt."""
        if self._socket is not None:
            self._socket.close()
