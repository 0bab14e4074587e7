"""Where a pool is: in a folder of this user, or at an address of another machine, with the keys that it takes."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

import zmq
from msgspec import Struct

from protocol.keys import ClientKeys, KeyFileError, KeyPair, PoolKeys, read_client_keys
from protocol.pool import PoolCard
from protocol.sockets import Link

TCP = "tcp://"
_CONNECT_SECONDS = 3.0


class PoolUnavailableError(Exception):
    """The pool cannot be used: it is not up, or did not come up."""


class AddressError(PoolUnavailableError):
    """An address, or a key file, that cannot be one of a pool."""


class PoolGoneError(PoolUnavailableError):
    """The pool was up a moment ago."""


class PoolAddress(Struct, frozen=True):
    """Where a pool is. ``folder`` and ``card`` are None for one on another machine; over TCP it takes ``keys``."""

    name: str
    endpoint: str
    folder: Path | None = None
    card: PoolCard | None = None
    keys: ClientKeys | None = None

    @property
    def over_tcp(self) -> bool:
        """Whether its sockets are TCP: then its workers outlive their launcher, and wait for the next one."""
        return self.keys is not None

    @classmethod
    def here(cls, name: str, folder: Path, card: PoolCard) -> PoolAddress:
        """Return the address of a pool of this user on this machine. Raises ``PoolUnavailableError``."""
        keys = None
        if card.endpoint.startswith("tcp://"):
            try:
                keys = read_client_keys(PoolKeys(folder).run_key)
            except KeyFileError as error:
                raise PoolUnavailableError(str(error)) from error
        # A socket that is bound to all addresses is reached on loopback as well.
        endpoint = card.endpoint.replace("tcp://0.0.0.0:", "tcp://127.0.0.1:").replace("tcp://[::]:", "tcp://[::1]:")
        return cls(name, endpoint, folder, card, keys)

    def link(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, server_key: str | None) -> Link:
        """Connect to a worker of the pool, or to its launcher. Raises ``ZMQError``, ``ValueError``."""
        if self.keys is None:
            return Link(context, endpoint)
        return Link(context, endpoint, KeyPair(public=self.keys.public, secret=self.keys.secret), server_key)

    @classmethod
    def at(cls, endpoint: str, key: Path) -> PoolAddress:
        """Return the address of a pool of another machine or user. Raises ``AddressError``."""
        _host_and_port(endpoint)
        try:
            keys = read_client_keys(key)
        except KeyFileError as error:
            raise AddressError(str(error)) from error
        if keys.use != "run":
            made = "`warmbench workers keys --for run` makes one for runs"
            raise AddressError(f"the key file {key} is for workers that join, not for runs: {made}")
        return cls(endpoint, endpoint, keys=keys)

    def why_no_answer(self) -> str:
        """What may be the reason that the launcher does not answer over TCP: a key that it refuses is not answered."""
        try:
            socket.create_connection(_host_and_port(self.endpoint), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            return f"{self.endpoint} can't be reached: {error.strerror or error}"
        return (
            f"{self.endpoint} can be reached, but a pool answers only to keys that it knows: has the key been taken "
            "back, is it of another pool, or is it another program that listens there?"
        )


def remote_address(pool: str | None, key: Path | None) -> PoolAddress | None:
    """Return where ``--pool tcp://HOST:PORT --key FILE`` is; None for a pool of this user. Raises ``AddressError``."""
    if not is_remote(pool):
        if key is not None:
            raise AddressError("--key is for a pool elsewhere: --pool tcp://HOST:PORT; your own pools need none")
        return None
    if key is None:
        raise AddressError(f"{pool} takes a key: --key FILE (`warmbench workers keys`, where the pool is, makes one)")
    return PoolAddress.at(pool, key)


def is_remote(pool: str | None) -> TypeGuard[str]:
    """Return whether ``--pool`` names an address, and not a pool of this user."""
    return pool is not None and pool.startswith(TCP)


def _host_and_port(endpoint: str) -> tuple[str, int]:
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not endpoint.startswith(TCP) or not host or not port or endpoint != f"{TCP}{parts.netloc}":
        raise AddressError(f"{endpoint!r:.200} is no address of a pool, such as tcp://head:5600")
    return host, port
